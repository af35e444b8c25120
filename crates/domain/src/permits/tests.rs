mod simulation;

use uuid::Uuid;

use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn worker(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

fn requests(a_minute: f64) -> Limits {
    Limits { per_minute: [Some(a_minute), None, None], ..Limits::default() }
}

fn ask(number: u128, wants: f64) -> Ask {
    Ask {
        worker: worker(number),
        wants: [wants, 0.0, 0.0],
        largest: [1.0, 0.0, 0.0],
        balances: [0.0; 3],
        lapsed: [0.0; 3],
        calls_wanted: 1_000,
        calls_in_flight: 0,
        day_left: 0,
    }
}

fn rate(grant: &Grant) -> f64 {
    grant.rates[0].expect("it is limited")
}

fn is_near(one: f64, other: f64) -> bool {
    (one / other - 1.0).abs() < 0.01
}

#[test]
fn one_worker_has_all_and_a_second_has_half_as_soon_as_the_first_renews() {
    let (limits, mut permits) = (requests(6_000.0), Permits::default());
    assert!(is_near(rate(&permits.take(&limits, at(100.0), &ask(1, f64::INFINITY))), 98.6));
    let second = permits.take(&limits, at(101.0), &ask(2, f64::INFINITY));
    assert!(rate(&second) < 0.1, "the first has all");
    assert!(is_near(rate(&permits.take(&limits, at(103.0), &ask(1, f64::INFINITY))), 49.3));
    assert!(is_near(rate(&permits.take(&limits, at(103.1), &ask(2, f64::INFINITY))), 49.3));
}

#[test]
fn what_one_does_not_want_the_others_have() {
    let (limits, mut permits) = (requests(6_000.0), Permits::default());
    let wants = [40.0, f64::INFINITY, f64::INFINITY];
    let mut rates = [0.0; 3];
    for round in 0..6 {
        for (number, want) in (1..).zip(wants) {
            let now = at(100.0 + 3.0 * f64::from(round));
            rates[number as usize - 1] = rate(&permits.take(&limits, now, &ask(number, want)));
        }
    }
    assert!(is_near(rates[0], 10.0) && is_near(rates[1], 44.3) && is_near(rates[2], 44.3), "{rates:?}");
}

#[test]
fn a_dead_worker_s_rate_comes_back_when_its_block_ends() {
    let (limits, mut permits) = (requests(6_000.0), Permits::default());
    permits.take(&limits, at(100.0), &ask(1, f64::INFINITY));
    assert!(rate(&permits.take(&limits, at(103.9), &ask(2, f64::INFINITY))) < 0.1);
    assert!(is_near(rate(&permits.take(&limits, at(104.0), &ask(2, f64::INFINITY))), 98.6));
    permits.give_back(&limits, at(105.0), &ask(2, 0.0));
    assert!(is_near(rate(&permits.take(&limits, at(105.0), &ask(3, f64::INFINITY))), 98.6));
}

#[test]
fn where_calls_are_large_workers_take_turns() {
    let limits = Limits { per_minute: [None, Some(100_000.0), None], ..Limits::default() };
    let mut permits = Permits::default();
    let (mut asks, mut held) = ([at(100.0), at(100.5)], Vec::new());
    while asks.iter().any(|ask| *ask < at(130.0)) {
        let number = usize::from(asks[1] < asks[0]);
        let ask = Ask { wants: [10.0, f64::INFINITY, 0.0], largest: [1.0, 4_000.0, 0.0], ..ask(number as u128, 0.0) };
        let grant = permits.take(&limits, asks[number], &ask);
        if grant.rates[1] > Some(0.0) {
            held.push((grant.from, grant.until, number));
        }
        asks[number] = grant.renew_at;
    }
    held.sort_unstable();
    let turns = held.chunk_by(|one, next| one.2 == next.2);
    let spans: Vec<f64> = turns.map(|turn| turn[turn.len() - 1].1.saturating_sub(turn[0].0).as_secs_f64()).collect();
    assert!(spans.len() >= 7 && spans.iter().all(|span| (4.0..4.5).contains(span)), "{spans:?}");
    assert!(held.windows(2).all(|two| two[0].2 == two[1].2 || two[0].1 == two[1].0), "one after the other: {held:?}");
}

#[test]
fn calls_in_flight_are_shared_and_never_more_than_allowed() {
    let limits = Limits { calls: Some(100), ..Limits::default() };
    let mut permits = Permits::default();
    let mut calls = |number, now, in_flight| {
        permits.take(&limits, at(now), &Ask { calls_in_flight: in_flight, ..ask(number, 0.0) }).calls
    };
    assert_eq!(calls(1, 100.0, 0), Some(100));
    assert_eq!(calls(2, 100.0, 0), Some(0));
    assert_eq!(calls(1, 103.0, 80), Some(80), "those in flight are not called back");
    assert_eq!(calls(2, 103.0, 0), Some(20));
    assert_eq!(calls(1, 106.0, 10), Some(50));
    assert_eq!(calls(2, 106.0, 20), Some(50));
    assert_eq!(calls(3, 110.1, 0), Some(100), "the others are gone");
}

#[test]
fn a_day_s_requests_are_given_out_once() {
    let limits = Limits { requests_per_day: Some(100), ..Limits::default() };
    let (mut permits, mut lease, mut sent) = (Permits::default(), Lease::new(worker(1)), 0);
    for round in 0..100 {
        let now = at(1_000.0 + f64::from(round));
        let ask = lease.ask(now, [20.0, 0.0, 0.0], 1, 0);
        lease.renewed(now, &permits.take(&limits, now, &ask));
        while sent < 3 * (round + 1) && lease.try_send(now, [1.0, 0.0, 0.0], 0).is_ok() {
            sent += 1;
        }
    }
    assert_eq!(sent, 100);
    assert_eq!(lease.try_send(at(1_099.0), [1.0, 0.0, 0.0], 0), Err(NotNow::Day));
}

#[test]
fn headers_only_ever_lower_what_is_given_out() {
    let limits = requests(6_000.0);
    for (remaining, least, most) in [(0.0, 90.0, 93.0), (25.0, 98.0, 99.0), (6_000.0, 98.0, 99.0)] {
        let mut permits = Permits::default();
        permits.correct(&limits, at(100.0), Resource::Requests, remaining);
        let rate = rate(&permits.take(&limits, at(100.0), &ask(1, f64::INFINITY)));
        assert!((least..most).contains(&rate), "{remaining} left: {rate}");
    }
}

#[test]
fn without_limits_nothing_is_held_up_and_the_state_survives_storage() {
    let (limits, mut permits, mut lease) = (Limits::default(), Permits::default(), Lease::new(worker(1)));
    assert_eq!(lease.try_send(at(1.0), [1.0, 10.0, 10.0], 0), Err(NotNow::Renew));
    let ask = lease.ask(at(1.0), [f64::INFINITY; 3], 10, 0);
    lease.renewed(at(1.01), &permits.take(&limits, at(1.0), &ask));
    assert!((0..1_000).all(|_| lease.try_send(at(1.1), [1.0, 1e9, 1e9], 5).is_ok()));
    let json = serde_json::to_string(&permits).expect("a value");
    assert_eq!(serde_json::from_str::<Permits>(&json).expect(&json), permits);
}
