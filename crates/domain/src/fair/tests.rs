use std::collections::HashMap;

use super::*;

type Key = (u32, u32);

const PLENTY: u64 = 1_000_000_000;

fn work(tenant: u32, job: u32, rows: u64) -> Work<u32, u32> {
    Work { tenant, tenant_weight: 1.0, job, job_weight: 4.0, rows, row_tokens: 500 }
}

/// A provider of so many tokens a second whose permits are given out in blocks of 250 ms.
struct Simulation {
    fair: Fair<u32, u32>,
    work: Vec<Work<u32, u32>>,
    tokens_per_second: f64,
    head_start: u64,
    now: Duration,
    carry: f64,
    served: HashMap<Key, u64>,
    ended: HashMap<Key, Duration>,
}

const BLOCK: Duration = Duration::from_millis(250);

impl Simulation {
    fn new(tokens_per_second: f64, head_start_s: f64) -> Self {
        Self {
            fair: Fair::default(),
            work: Vec::new(),
            tokens_per_second,
            head_start: to_u64(tokens_per_second * head_start_s),
            now: Duration::ZERO,
            // What a limit gives at once to whoever comes to it idle.
            carry: tokens_per_second / 2.0,
            served: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    fn run(&mut self, seconds: u32) {
        let end = self.now + Duration::from_secs(seconds.into());
        while self.now < end {
            self.block();
        }
    }

    fn block(&mut self) {
        self.fair.offer(self.now, self.head_start, &self.work);
        // A worker does not send more at once than a half second gives.
        self.carry = self.carry.min(self.tokens_per_second / 2.0) + self.tokens_per_second * BLOCK.as_secs_f64();
        self.now += BLOCK;
        for part in self.fair.take(u64::MAX, to_u64(self.carry.max(0.0))) {
            self.carry -= to_f64(part.tokens);
            *self.served.entry((part.tenant, part.job)).or_default() += part.tokens;
            let item = self.work.iter_mut().find(|item| (item.tenant, item.job) == (part.tenant, part.job));
            let item = item.expect("it was offered");
            item.rows -= part.rows;
            if item.rows == 0 {
                self.ended.insert((part.tenant, part.job), self.now);
            }
        }
    }

    fn shares(&self, keys: &[Key]) -> Vec<f64> {
        let served: Vec<f64> =
            keys.iter().map(|key| to_f64(self.served.get(key).copied().unwrap_or_default())).collect();
        let sum: f64 = served.iter().sum();
        served.iter().map(|tokens| tokens / sum).collect()
    }
}

/// (Σx)² / (n Σx²): 1 where all have the same.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let count = f64::from(u32::try_from(shares.len()).expect("few"));
    sum * sum / (count * squares)
}

#[test]
fn g11_ten_equal_tenants_get_the_same_whatever_their_rows_and_jobs() {
    let mut simulation = Simulation::new(50_000.0, 2.0);
    let keys: Vec<Key> = (0..10).flat_map(|tenant| (0..=tenant % 3).map(move |job| (tenant, job))).collect();
    for &(tenant, job) in &keys {
        let row_tokens = [50, 300, 1_200, 9_000][(tenant % 4) as usize];
        simulation.work.push(Work { row_tokens, ..work(tenant, job, PLENTY) });
    }
    for (seconds, least) in [(10, 0.95), (60, 0.98)] {
        simulation.run(seconds);
        let by_job = simulation.shares(&keys);
        let of =
            |tenant: u32| keys.iter().zip(&by_job).filter(|(key, _)| key.0 == tenant).map(|(_, share)| share).sum();
        let index = jain(&(0..10).map(of).collect::<Vec<f64>>());
        eprintln!("ten equal tenants after {:?}: Jain's index {index:.5}", simulation.now);
        assert!(index >= least, "{index}");
    }
}

#[test]
fn g11_weights_of_tenants_and_priorities_hold_within_five_percent() {
    let mut simulation = Simulation::new(50_000.0, 2.0);
    let weights = [1.0, 2.0, 5.0];
    for (tenant, tenant_weight) in (0..).zip(weights) {
        for (job, priority) in (0..).zip([Priority::Low, Priority::Normal, Priority::High]) {
            let row_tokens = [200, 3_000, 700][((tenant + job) % 3) as usize];
            let job_weight = priority.weight();
            let item = work(tenant, job, PLENTY);
            simulation.work.push(Work { tenant_weight, job_weight, row_tokens, ..item });
        }
    }
    simulation.run(300);
    let keys: Vec<Key> = (0..3).flat_map(|tenant| (0..3).map(move |job| (tenant, job))).collect();
    for (key, share) in keys.iter().zip(simulation.shares(&keys)) {
        let due = weights[key.0 as usize] / 8.0 * [1.0, 4.0, 16.0][key.1 as usize] / 21.0;
        eprintln!("tenant {}, job {}: {:.3} of what is due", key.0, key.1, share / due);
        assert!((share / due - 1.0).abs() <= 0.05, "{share} of {due}");
    }
}

/// When a hundred rows of tenant 1 end that come after 10 s, counted from then.
fn hundred_rows(tokens_per_second: f64, beside_a_million: bool) -> f64 {
    let mut simulation = Simulation::new(tokens_per_second, 2.0);
    if beside_a_million {
        simulation.work.push(work(0, 0, 1_000_000));
    }
    simulation.run(10);
    simulation.work.push(work(1, 0, 100));
    simulation.run(600);
    simulation.ended[&(1, 0)].as_secs_f64() - 10.0
}

#[test]
fn g11_a_hundred_rows_beside_a_million_take_at_most_twice_their_time_alone() {
    for requests_per_minute in [60.0, 600.0, 6_000.0, 60_000.0] {
        let tokens_per_second = requests_per_minute / 60.0 * 500.0;
        let [alone, beside] = [false, true].map(|beside| hundred_rows(tokens_per_second, beside));
        eprintln!("{requests_per_minute} requests a minute: {alone:.2} s alone, {beside:.2} s beside a million rows");
        assert!(beside <= 2.0 * alone, "{beside} > 2 × {alone}");
    }
}

#[test]
fn nothing_starves() {
    let mut simulation = Simulation::new(5_000.0, 0.0);
    simulation.work.push(Work { tenant_weight: 100.0, job_weight: 16.0, row_tokens: 10, ..work(0, 0, PLENTY) });
    simulation.work.push(Work { job_weight: 64.0, ..work(1, 0, PLENTY) });
    simulation.work.push(Work { job_weight: 1.0, row_tokens: 2_000, ..work(1, 1, PLENTY) });
    simulation.run(8_000);
    let low = simulation.served[&(1, 1)];
    let due = 5_000.0 * 8_000.0 / 101.0 / 65.0;
    assert!((to_f64(low) / due - 1.0).abs() < 0.4, "{low} of {due}");
}

#[test]
fn who_comes_back_soon_has_no_second_head_start() {
    let mut fair = Fair::default();
    let served = |fair: &mut Fair<u32, u32>, second: u64, rows: u64| {
        fair.offer(Duration::from_secs(second), 20_000, &[work(0, 0, PLENTY), work(1, 0, rows)]);
        let parts = fair.take(100, u64::MAX);
        parts.iter().filter(|part| part.tenant == 1).map(|part| part.rows).sum::<u64>()
    };
    fair.offer(Duration::ZERO, 0, &[work(0, 0, PLENTY)]);
    assert_eq!(served(&mut fair, 1, 40), 40, "its head start is 40 rows");
    assert_eq!(served(&mut fair, 2, 0), 0);
    assert!((48..=52).contains(&served(&mut fair, 30, 100)), "half, like the other");
    assert_eq!(served(&mut fair, 31, 0), 0);
    assert_eq!(served(&mut fair, 91, 0), 0);
    assert!(served(&mut fair, 92, 100) >= 65, "a minute's rest was enough");
}

#[test]
fn near_deadlines_raise_a_weight_up_to_fourfold() {
    let hour = Duration::from_hours(1);
    let cases = [(None, 4.0), (Some(hour / 2), 4.0), (Some(hour * 2), 8.0), (Some(hour * 100), 16.0)];
    for (needed, weight) in cases {
        assert!((job_weight(Priority::Normal, needed, hour) - weight).abs() < 1e-9, "{needed:?}");
    }
    assert!((job_weight(Priority::Low, Some(hour), Duration::ZERO) - 4.0).abs() < 1e-9);
}

#[test]
fn what_a_row_really_used_is_made_up_for() {
    let mut fair = Fair::default();
    let (mut rows, mut turns) = ([0, 0], 0);
    while turns < 400 {
        fair.offer(Duration::ZERO, 0, &[work(0, 0, PLENTY), work(1, 0, PLENTY)]);
        for part in fair.take(10, u64::MAX) {
            rows[part.tenant as usize] += part.rows;
            // The second tenant's rows are three times as large as thought.
            let used = if part.tenant == 1 { 3 * part.tokens } else { part.tokens };
            fair.settle(part.tenant, part.tokens, used);
        }
        turns += 1;
    }
    let [first, second] = rows.map(to_f64);
    assert!((first / second - 3.0).abs() < 0.1, "{first} : {second}");
}

#[test]
fn a_block_is_as_large_as_was_asked_and_the_state_survives_storage() {
    let mut fair = Fair::default();
    assert_eq!(fair.take(10, 10), []);
    fair.offer(Duration::ZERO, 0, &[work(0, 0, 3), work(1, 0, 100)]);
    let json = serde_json::to_string(&fair).expect("a value");
    assert_eq!(serde_json::from_str::<Fair<u32, u32>>(&json).expect(&json), fair);
    let parts = fair.take(50, u64::MAX);
    assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), 50);
    assert_eq!(parts.iter().find(|part| part.tenant == 0).map(|part| part.rows), Some(3));
    assert_eq!(fair.take(50, 1_000).iter().map(|part| part.tokens).sum::<u64>(), 1_000);
    assert_eq!(fair.take(100, u64::MAX).iter().map(|part| part.rows).sum::<u64>(), 51);
    assert_eq!(fair.take(1, u64::MAX), []);
}
