//! Workers, and a provider whose limit of requests a second changes and is nowhere told, in steps of a millisecond.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::super::*;

/// Numbers that look random, always the same ones.
struct Random(u64);

impl Random {
    /// In 0..1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 40) as u32) / f64::from(1 << 24)
    }

    /// Of such a mean, with sigma 0.8.
    fn lognormal(&mut self, mean: f64) -> f64 {
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        mean * (0.8 * normal - 0.32).exp()
    }
}

#[derive(Debug, Clone, Copy)]
enum Counts {
    /// No second that begins anywhere has more.
    Seconds,
    /// A bucket that holds a second's worth.
    Bucket,
}

struct Provider {
    counts: Counts,
    accepted: VecDeque<Duration>,
    tokens: f64,
    at: Duration,
}

const PHASE_S: u32 = 300;
const PHASES: [f64; 3] = [100.0, 20.0, 200.0];

impl Provider {
    fn limit(now: Duration) -> f64 {
        PHASES[(now.as_secs() / u64::from(PHASE_S)).min(2) as usize]
    }

    fn accepts(&mut self, now: Duration) -> bool {
        let limit = Self::limit(now);
        match self.counts {
            Counts::Seconds => {
                while self.accepted.front().is_some_and(|at| now.saturating_sub(*at) >= Duration::from_secs(1)) {
                    self.accepted.pop_front();
                }
                let accepts = f64::from(u32::try_from(self.accepted.len()).expect("few")) < limit;
                if accepts {
                    self.accepted.push_back(now);
                }
                accepts
            }
            Counts::Bucket => {
                self.tokens = (self.tokens + limit * now.saturating_sub(self.at).as_secs_f64()).min(limit);
                self.at = now;
                let accepts = self.tokens >= 1.0;
                self.tokens -= f64::from(u8::from(accepts));
                accepts
            }
        }
    }
}

struct Worker {
    copy: Limit,
    news: News,
    told_at: Duration,
    due: f64,
    /// Ends of calls, the era of each, whether it was refused.
    calls: BinaryHeap<Reverse<(Duration, u64, bool)>>,
}

#[derive(Default, Clone, Copy)]
struct Second {
    accepted: u32,
    refused: u32,
}

fn run(seed: u64, counts: Counts, workers: u32, latency: impl Fn(&mut Random) -> f64) -> Vec<Second> {
    let mut random = Random(seed);
    let mut provider = Provider { counts, accepted: VecDeque::new(), tokens: 0.0, at: Duration::ZERO };
    let mut truth = Limit::new(Duration::ZERO, None);
    let mut all: Vec<Worker> = (0..workers)
        .map(|number| Worker {
            copy: truth.clone(),
            news: News::default(),
            told_at: Duration::from_millis((1_000 * number / workers).into()),
            due: 0.0,
            calls: BinaryHeap::new(),
        })
        .collect();
    let mut seconds = vec![Second::default(); (3 * PHASE_S) as usize];
    for tick in 0..3 * PHASE_S * 1_000 {
        let now = Duration::from_millis(tick.into());
        for worker in &mut all {
            worker.tick(now, workers, &mut truth, |now| {
                let accepts = provider.accepts(now);
                let second = &mut seconds[(tick / 1_000) as usize];
                *(if accepts { &mut second.accepted } else { &mut second.refused }) += 1;
                (accepts, Duration::from_secs_f64(if accepts { latency(&mut random) } else { 0.05 }))
            });
        }
    }
    seconds
}

impl Worker {
    fn tick(
        &mut self,
        now: Duration,
        workers: u32,
        truth: &mut Limit,
        mut call: impl FnMut(Duration) -> (bool, Duration),
    ) {
        while self.calls.peek().is_some_and(|call| call.0.0 <= now) {
            let Reverse((_, era, refused)) = self.calls.pop().expect("it was there");
            self.news.ended(era, if refused { End::Refused } else { End::Answered });
        }
        let since = now.saturating_sub(self.told_at);
        let is_urgent = self.news.is_urgent() && since >= Duration::from_millis(250);
        if is_urgent || since >= Duration::from_secs(1) {
            truth.apply(now, &self.news);
            (self.copy, self.told_at) = (truth.clone(), now);
            self.news = News::since(&self.copy);
        }
        // At most one is made up for, beside what comes due in this millisecond.
        let due = self.copy.per_second().map_or(1.0, |rate| rate / f64::from(workers) / 1e3);
        self.due = (self.due + due).min(1.0 + due);
        let most = self.copy.calls().div_ceil(workers) as usize;
        while self.calls.len() < most && self.due >= 1.0 {
            let (accepts, latency) = call(now);
            let era = self.news.sent();
            self.calls.push(Reverse((now + latency, era, !accepts)));
            if self.copy.per_second().is_some() {
                self.due -= 1.0;
            }
        }
        self.news.waited_for_calls |= self.calls.len() >= most;
        self.news.waited_for_rate |= self.calls.len() < most;
    }
}

/// The share used of what was possible, the share of refusals outside the 15 s after a step, and the least share used in 5 s after those.
fn measure(seconds: &[Second]) -> (f64, f64, f64) {
    let (mut accepted, mut calm, mut refused, mut back) = (0, 0, 0, f64::INFINITY);
    for (phase, limit) in seconds.chunks(PHASE_S as usize).zip(PHASES) {
        accepted += phase.iter().map(|second| second.accepted).sum::<u32>();
        calm += phase[15..].iter().map(|second| second.accepted + second.refused).sum::<u32>();
        refused += phase[15..].iter().map(|second| second.refused).sum::<u32>();
        let first = phase[15..20].iter().map(|second| second.accepted).sum::<u32>();
        back = f64::min(back, f64::from(first) / 5.0 / limit);
    }
    let possible: f64 = PHASES.iter().sum::<f64>() * f64::from(PHASE_S);
    (f64::from(accepted) / possible, f64::from(refused) / f64::from(calm), back)
}

/// Asserts what is promised of a hidden limit, for workers with calls of such a latency.
fn check(counts: Counts, workers: u32, name: &str, latency: impl Fn(&mut Random) -> f64) {
    for seed in 1..=3 {
        let (used, refused, back) = measure(&run(seed, counts, workers, &latency));
        eprintln!(
            "{counts:?}, {workers} workers, latency {name}: {:.2} % used, {:.2} % refused, {:.1} % used 15 to 20 s after a step",
            100.0 * used,
            100.0 * refused,
            100.0 * back
        );
        assert!(used >= 0.95, "{used}");
        assert!(refused <= 0.02, "{refused}");
        assert!(back >= 0.85, "{back}");
    }
}

#[test]
fn g13_a_hidden_limit_on_any_second_is_used_and_hardly_exceeded() {
    for workers in [1, 4] {
        check(Counts::Seconds, workers, "50 ms", |_| 0.05);
        check(Counts::Seconds, workers, "varies", |random| random.lognormal(0.05));
    }
}

#[test]
fn g13_a_hidden_token_bucket_is_used_and_hardly_exceeded() {
    for workers in [1, 4] {
        check(Counts::Bucket, workers, "50 ms", |_| 0.05);
        check(Counts::Bucket, workers, "varies", |random| random.lognormal(0.05));
    }
}
