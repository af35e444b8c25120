mod simulation;

use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Calls that the limit allows in a second, where it has found a rate.
fn found(limit: &Limit) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and never negative")]
    limit.per_second().map(|rate| rate as u32)
}

/// Tells every second how many calls were answered, refused and overloaded of those that the limit allows.
fn run(limit: &mut Limit, from: u32, seconds: u32, provider: impl Fn(&Limit) -> [u32; 3]) {
    for second in from..from + seconds {
        let mut news = News::since(limit);
        let ends = provider(limit);
        for (end, count) in [End::Answered, End::Refused, End::Overloaded].into_iter().zip(ends) {
            for _ in 0..count {
                let era = news.sent();
                news.ended(era, end);
            }
        }
        news.waited_for_rate = limit.per_second().is_some();
        news.waited_for_calls = !news.waited_for_rate;
        limit.apply(at(f64::from(second + 1)), &news);
    }
}

#[test]
fn it_begins_at_the_record_s_limit_and_never_goes_beyond() {
    let mut limit = Limit::new(at(0.0), Some(200));
    assert_eq!((limit.calls(), limit.per_second()), (200, None));
    run(&mut limit, 0, 100, |limit| [limit.calls(), 0, 0]);
    assert_eq!(limit.calls(), 200);
}

#[test]
fn calls_in_flight_grow_while_it_pays() {
    let mut limit = Limit::new(at(0.0), None);
    run(&mut limit, 0, 60, |limit| [limit.calls(), 0, 0]);
    assert!(limit.calls() > 5_000, "{}", limit.calls());
    // A server that gets no more done with more than 64 at once, and lets them wait.
    let mut limit = Limit::new(at(0.0), None);
    run(&mut limit, 0, 20, |limit| [limit.calls().min(64), 0, 0]);
    assert!((64..=160).contains(&limit.calls()), "{}", limit.calls());
}

#[test]
fn overload_lowers_the_calls_in_flight_to_what_is_borne() {
    let mut limit = Limit::new(at(0.0), None);
    let provider = |limit: &Limit| [limit.calls().min(64), 0, limit.calls().saturating_sub(64)];
    run(&mut limit, 0, 30, provider);
    for second in 30..230 {
        run(&mut limit, second, 1, provider);
        assert!((50..=75).contains(&limit.calls()), "{} at {second}", limit.calls());
    }
    assert_eq!(limit.per_second(), None, "nothing speaks of a rate");
}

#[test]
fn latency_alone_changes_nothing() {
    let mut limit = Limit::new(at(0.0), Some(100));
    run(&mut limit, 0, 60, |_| [1, 0, 0]);
    assert_eq!(limit.calls(), 100);
}

#[test]
fn refusals_of_calls_sent_before_a_cut_do_not_cut_again() {
    let mut limit = Limit::new(at(0.0), Some(100));
    let mut news = News::since(&limit);
    let eras: Vec<u64> = (0..100).map(|_| news.sent()).collect();
    for era in &eras[..50] {
        news.ended(*era, End::Overloaded);
    }
    limit.apply(at(1.0), &news);
    assert_eq!(limit.calls(), 85);
    let mut news = News::since(&limit);
    for era in &eras[50..] {
        news.ended(*era, End::Overloaded);
    }
    assert!(news.is_urgent());
    limit.apply(at(1.1), &news);
    assert_eq!(limit.calls(), 85);
}

#[test]
fn after_an_outage_it_is_soon_what_it_was_and_after_a_hiccup_it_is_not() {
    let hidden = |limit: &Limit| {
        let sent = found(limit).unwrap_or(300);
        [sent.min(100), sent.saturating_sub(100), 0]
    };
    for (lasted, least, most) in [(300.0, 90.0, 110.0), (1.0, 0.0, 50.0)] {
        let mut limit = Limit::new(at(0.0), Some(200));
        run(&mut limit, 0, 60, hidden);
        let before = limit.per_second().expect("it was refused");
        assert!((90.0..115.0).contains(&before), "{before}");
        run(&mut limit, 60, 10, |limit| [0, found(limit).unwrap_or(1).max(5), 0]);
        assert!(limit.per_second() < Some(30.0), "{:?}", limit.per_second());
        limit.resume(at(360.0), at(lasted));
        run(&mut limit, 360, 3, hidden);
        let after = limit.per_second().expect("it is known");
        assert!((least..most).contains(&after), "{after} after {lasted} s");
    }
}

#[test]
fn a_slow_ramp_keeps_to_half_more_in_a_quarter_of_an_hour() {
    let mut limit = Limit::new(at(0.0), Some(1_000));
    run(&mut limit, 0, 60, |_| [100, 0, 0]);
    limit.slow_down(at(60.0));
    let sends = |limit: &Limit| [found(limit).unwrap_or(100), 0, 0];
    let begin = limit.per_second().expect("it was lowered");
    run(&mut limit, 60, 900, sends);
    let later = limit.per_second().expect("it is kept");
    assert!((40.0..100.0).contains(&begin) && (1.3..=1.51).contains(&(later / begin)), "{begin}, then {later}");
}

#[test]
fn the_state_survives_storage() {
    let mut limit = Limit::new(at(0.0), None);
    run(&mut limit, 0, 20, |limit| [limit.calls(), 9, 1]);
    let json = serde_json::to_string(&limit).expect("a value");
    let again: Limit = serde_json::from_str(&json).expect(&json);
    // JSON may cost a number its last bit.
    let [one, other] = [&limit, &again].map(|limit| limit.per_second().expect("429s have come"));
    assert!((one / other - 1.0).abs() < 1e-12);
    assert_eq!((again.era, again.at, again.calls()), (limit.era, limit.at, limit.calls()));
}
