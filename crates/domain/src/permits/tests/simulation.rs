//! Workers behind a database and a network, in steps of a millisecond.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::*;

const SECONDS: u32 = 300;

/// Numbers that look random, always the same ones.
struct Random(u64);

impl Random {
    /// In 0..1.
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 40) as u32) / f64::from(1 << 24)
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Lognormal of such a mean, with sigma 0.8: the standard deviation is 95 % of the mean.
    fn lognormal(&mut self, mean: f64) -> f64 {
        const SIGMA: f64 = 0.8;
        mean * (SIGMA * self.normal() - SIGMA * SIGMA / 2.0).exp()
    }
}

/// How one resource is used.
#[derive(Clone, Copy)]
struct Case {
    resource: Resource,
    limit: f64,
    /// Units of a call, on average.
    mean: f64,
    /// What a call really needs, in parts of the estimate, on average.
    bias: f64,
    workers: usize,
    /// Whether each worker has work in every other 7 s only.
    pauses: bool,
}

struct Worker {
    lease: Lease,
    /// The answer of the database, and when it arrives.
    answer: Option<(Duration, Grant)>,
    /// An ask on its way.
    asking: Option<(Duration, Ask)>,
    /// When calls end, with the index of what was reserved and what they used.
    calls: BinaryHeap<Reverse<(Duration, usize)>>,
    reserved: Vec<(f64, f64)>,
    /// The mean of what calls turned out to use.
    learned: f64,
    is_dead: bool,
}

struct Seen {
    /// When something was counted, and how much.
    counted: Vec<(Duration, f64)>,
    sent: u32,
    trips: u32,
}

fn run(case: Case) -> Seen {
    let mut random = Random(7);
    let mut limits = Limits::default();
    limits.per_minute[case.resource.index()] = Some(case.limit);
    let mut permits = Permits::default();
    let new = |number: usize| Worker {
        lease: Lease::new(worker(number as u128)),
        answer: None,
        asking: None,
        calls: BinaryHeap::new(),
        reserved: Vec::new(),
        learned: case.mean,
        is_dead: false,
    };
    let mut workers: Vec<Worker> = (0..case.workers).map(new).collect();
    let mut seen = Seen { counted: Vec::new(), sent: 0, trips: 0 };
    for tick in 0..SECONDS * 1_000 {
        let now = at(1_000.0) + Duration::from_millis(tick.into());
        if tick == SECONDS * 500 && case.workers > 1 {
            workers[1].is_dead = true;
        }
        for (index, worker) in (0..).zip(&mut workers).filter(|(_, worker)| !worker.is_dead) {
            worker.talk(now, &limits, &mut permits, &mut random, &mut seen);
            worker.end_calls(now, case);
            if !(case.pauses && (now.as_secs() / 7 + index).is_multiple_of(2)) {
                worker.send(now, case, &mut random, &mut seen);
            }
        }
    }
    seen.counted.sort_by_key(|(at, _)| *at);
    seen
}

impl Worker {
    /// The way to the database and back takes 5 to 30 ms.
    fn talk(&mut self, now: Duration, limits: &Limits, permits: &mut Permits, random: &mut Random, seen: &mut Seen) {
        if let Some((arrives, ask)) = self.asking.take_if(|(arrives, _)| *arrives <= now) {
            let grant = permits.take(limits, arrives, &ask);
            self.answer = Some((now + Duration::from_secs_f64(0.0025 + 0.0125 * random.unit()), grant));
            seen.trips += 1;
        }
        if let Some((_, grant)) = self.answer.take_if(|(arrives, _)| *arrives <= now) {
            self.lease.renewed(now, &grant);
        } else if self.asking.is_none() && self.answer.is_none() && now >= self.lease.renew_at() {
            let ask = self.lease.ask(now, [f64::INFINITY; 3], 1_000, 0);
            self.asking = Some((now + Duration::from_secs_f64(0.0025 + 0.0125 * random.unit()), ask));
        }
    }

    fn end_calls(&mut self, now: Duration, case: Case) {
        while self.calls.peek().is_some_and(|call| call.0.0 <= now) {
            let Reverse((_, call)) = self.calls.pop().expect("it was there");
            let (reserved, used) = self.reserved[call];
            self.lease.settle(case.resource, reserved, used);
            self.learned += (used - self.learned) / 100.0;
        }
    }

    fn send(&mut self, now: Duration, case: Case, random: &mut Random, seen: &mut Seen) {
        loop {
            let (estimate, used) = match case.resource {
                Resource::Requests => (1.0, 1.0),
                Resource::InputTokens => {
                    let estimate = (case.mean * (0.2 + 1.6 * random.unit())).round();
                    (estimate, (estimate * case.bias * (0.9 + 0.2 * random.unit())).round())
                }
                Resource::OutputTokens => (self.learned, random.lognormal(case.mean).min(8.0 * case.mean).round()),
            };
            let mut need = [1.0, 0.0, 0.0];
            need[case.resource.index()] = estimate;
            if self.lease.try_send(now, need, 0).is_err() {
                return;
            }
            // Output comes at 200 tokens a second; what is asked is counted when it arrives.
            let latency = match case.resource {
                Resource::Requests | Resource::InputTokens => 1.0,
                Resource::OutputTokens => 0.3 + used / 200.0,
            };
            let arrival = now + Duration::from_secs_f64(0.25 * random.unit());
            let counted = match case.resource {
                Resource::Requests | Resource::InputTokens => arrival,
                Resource::OutputTokens => now + at(latency),
            };
            seen.counted.push((counted, used));
            seen.sent += 1;
            self.calls.push(Reverse((now + at(latency), self.reserved.len())));
            self.reserved.push((estimate, used));
        }
    }
}

/// The most of any 60 s, and the mean of a minute after the first.
fn measure(counted: &[(Duration, f64)]) -> (f64, f64) {
    let (mut window, mut sum, mut most, mut later) = (VecDeque::new(), 0.0, 0.0_f64, 0.0);
    let (start, end) = (at(1_060.0), at(1_000.0 + f64::from(SECONDS)));
    for &(when, units) in counted {
        while window.front().is_some_and(|(first, _)| when.saturating_sub(*first) >= at(60.0)) {
            sum -= window.pop_front().map_or(0.0, |(_, units): (Duration, f64)| units);
        }
        window.push_back((when, units));
        sum += units;
        most = most.max(sum);
        later += if (start..end).contains(&when) { units } else { 0.0 };
    }
    (most, later * 60.0 / f64::from(SECONDS - 60))
}

fn check(case: Case, most_over: f64, least_used: f64, most_trips: f64) {
    let seen = run(case);
    let (most, mean) = measure(&seen.counted);
    let trips = 1_000.0 * f64::from(seen.trips) / f64::from(seen.sent);
    eprintln!(
        "{:?}, {} a minute, {} workers, true use {:.2} of the estimate: {:.2} % used, at most {:.2} % in a minute, {trips:.1} trips to the \
        database for 1,000 calls",
        case.resource,
        case.limit,
        case.workers,
        case.bias,
        100.0 * mean / case.limit,
        100.0 * most / case.limit
    );
    assert!(most <= most_over * case.limit, "{most} in a minute");
    assert!(mean >= least_used * case.limit, "{mean} of {}", case.limit);
    assert!(trips <= most_trips, "{trips}");
}

#[test]
fn g13_no_minute_is_over_its_requests_and_nearly_all_are_used() {
    for (limit, most_trips) in [(600.0, 150.0), (6_000.0, 15.0), (60_000.0, 1.6)] {
        for workers in [1, 4] {
            let case = Case { resource: Resource::Requests, limit, mean: 1.0, bias: 1.0, workers, pauses: false };
            check(case, 1.0, 0.97, most_trips);
        }
    }
}

#[test]
fn g13_no_minute_is_over_its_requests_where_work_comes_and_goes() {
    for limit in [600.0, 6_000.0] {
        for workers in [1, 4] {
            let case = Case { resource: Resource::Requests, limit, mean: 1.0, bias: 1.0, workers, pauses: true };
            check(case, 1.0, 0.45, 400.0);
        }
    }
}

#[test]
fn g13_no_minute_is_over_its_input_tokens_though_estimates_are_off() {
    for (limit, mean) in [(2_000_000.0, 1_000.0), (600_000.0, 500.0)] {
        for bias in [0.85, 1.0, 1.15] {
            for workers in [1, 4] {
                let case = Case { resource: Resource::InputTokens, limit, mean, bias, workers, pauses: false };
                check(case, 1.0, 0.97, 100.0);
            }
        }
    }
}

#[test]
fn g13_output_tokens_known_afterwards_are_nearly_all_used_and_hardly_exceeded() {
    // The first is the least that the bound is meant for, and close to it: with one of six other seeds it is 1.2 % over.
    for (limit, mean) in [(150_000.0, 300.0), (300_000.0, 300.0), (3_000_000.0, 300.0)] {
        for workers in [1, 4] {
            let case = Case { resource: Resource::OutputTokens, limit, mean, bias: 1.0, workers, pauses: false };
            check(case, 1.01, 0.95, 200.0);
        }
    }
}
