//! Takes results out of a reply as it arrives.
//!
//! An operation carries the results of requests that were sent inline, twice over, and so does every one in a list: more than should be
//! in memory.

/// Name of the arrays that results stand in.
const RESULTS: &[u8] = b"inlinedResponses";

/// Splits JSON into its frame, which is all but the elements of such arrays, and these elements.
#[derive(Debug)]
pub(super) struct Splitter {
    frame: Vec<u8>,
    max_frame_bytes: usize,
    in_string: bool,
    is_escaped: bool,
    /// The last string of the frame, as long as it can be a key.
    key: Vec<u8>,
    /// Set within the elements.
    array: Option<Array>,
    /// A whole array of elements was seen: what comes after it is the same again.
    is_done: bool,
}

#[derive(Debug, Default)]
struct Array {
    depth: u64,
    is_empty: bool,
}

/// The frame is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Splitter {
    pub(super) fn new(max_frame_bytes: usize) -> Self {
        Self {
            frame: Vec::new(),
            max_frame_bytes,
            in_string: false,
            is_escaped: false,
            key: Vec::new(),
            array: None,
            is_done: false,
        }
    }

    /// Reads on. What belongs to the elements of the first array that has any is appended to `lines`, one element a line.
    pub(super) fn push(&mut self, piece: &[u8], lines: &mut Vec<u8>) -> Result<(), TooLarge> {
        for &byte in piece {
            if self.array.is_some() {
                self.element(byte, lines);
            } else {
                self.frame(byte)?;
            }
        }
        Ok(())
    }

    /// The frame, once all is read.
    pub(super) fn into_frame(self) -> Vec<u8> {
        self.frame
    }

    fn frame(&mut self, byte: u8) -> Result<(), TooLarge> {
        if self.frame.len() == self.max_frame_bytes {
            return Err(TooLarge);
        }
        self.frame.push(byte);
        if self.in_string {
            self.string(byte);
            if self.in_string && self.key.len() <= RESULTS.len() {
                self.key.push(byte);
            }
        } else {
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.key.clear();
                }
                b'[' if self.key == RESULTS => self.array = Some(Array { depth: 0, is_empty: true }),
                b':' | b' ' | b'\t' | b'\n' | b'\r' => {}
                _ => self.key.clear(),
            }
        }
        Ok(())
    }

    fn element(&mut self, byte: u8, lines: &mut Vec<u8>) {
        let was_string = self.in_string;
        if was_string {
            self.string(byte);
        } else if byte == b'"' {
            self.in_string = true;
        }
        let Some(array) = &mut self.array else { return };
        if !was_string {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => return,
                b']' if array.depth == 0 => return self.end_array(lines),
                b'{' | b'[' => array.depth += 1,
                b'}' | b']' => array.depth = array.depth.saturating_sub(1),
                _ => {}
            }
        }
        array.is_empty = false;
        if !self.is_done {
            let ends = !was_string && byte == b',' && array.depth == 0;
            lines.push(if ends { b'\n' } else { byte });
        }
    }

    fn end_array(&mut self, lines: &mut Vec<u8>) {
        let is_empty = self.array.take().is_none_or(|array| array.is_empty);
        if !is_empty && !self.is_done {
            lines.push(b'\n');
            self.is_done = true;
        }
        self.key.clear();
        self.frame.push(b']');
    }

    /// Where a string ends.
    fn string(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(json: &str, piece_bytes: usize) -> (String, String) {
        let mut splitter = Splitter::new(1_000);
        let mut lines = Vec::new();
        for piece in json.as_bytes().chunks(piece_bytes) {
            splitter.push(piece, &mut lines).expect("a small frame");
        }
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (text(splitter.into_frame()), text(lines))
    }

    #[test]
    fn elements_become_lines_and_the_rest_stays() {
        let json = r#"{"name": "inlinedResponses", "metadata": {"list": [1], "output": {"inlinedResponses" : {
            "inlinedResponses": [
              {"response": {"text": "a ],\" [ \\", "list": [1, [2]]},
               "metadata": {"key": "r1"}} ,
              {"error": {"code": 3}, "inlinedResponses": [7]}
            ]}}}, "response": {"inlinedResponses": {"inlinedResponses": [{"metadata": {"key": "again"}}]}}, "done": true}"#;
        for piece_bytes in [1, 2, 7, json.len()] {
            let (frame, lines) = split(json, piece_bytes);
            let frame: serde_json::Value = serde_json::from_str(&frame).expect("JSON");
            let empty = serde_json::json!({"inlinedResponses": {"inlinedResponses": []}});
            assert_eq!(frame["metadata"]["output"], empty);
            assert_eq!((&frame["response"], &frame["done"]), (&empty, &true.into()));
            assert_eq!(
                lines,
                "{\"response\":{\"text\":\"a ],\\\" [ \\\\\",\"list\":[1,[2]]},\"metadata\":{\"key\":\"r1\"}}\n\
                 {\"error\":{\"code\":3},\"inlinedResponses\":[7]}\n"
            );
        }
    }

    #[test]
    fn an_empty_array_leaves_the_word_to_the_next() {
        let (frame, lines) = split(r#"{"a":{"inlinedResponses":[ ]},"b":{"inlinedResponses":[{"x":1}]}}"#, 3);
        assert_eq!(
            (frame.as_str(), lines.as_str()),
            (r#"{"a":{"inlinedResponses":[]},"b":{"inlinedResponses":[]}}"#, "{\"x\":1}\n")
        );
    }

    #[test]
    fn only_a_key_names_an_array() {
        let json = r#"{"a":["inlinedResponses",[1]],"inlinedResponsesX":[2],"x":"inlinedResponses"}"#;
        assert_eq!(split(json, 5), (json.to_owned(), String::new()));
    }

    #[test]
    fn a_frame_is_bounded_and_elements_are_not() {
        let mut splitter = Splitter::new(100);
        let mut lines = Vec::new();
        splitter.push(b"{\"inlinedResponses\":[", &mut lines).expect("a small frame");
        for _ in 0..1_000 {
            splitter.push(b"{\"x\":1},", &mut lines).expect("elements");
        }
        assert_eq!(lines.len(), 8_000);
        assert_eq!(splitter.push(&[b"]", [b' '; 100].as_slice()].concat(), &mut lines), Err(TooLarge));
    }
}
