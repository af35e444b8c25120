//! A table and a prompt in, the merged table out.

use std::time::Duration;

use tests::{Rig, RigOptions};

const LONG: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_back_once_in_order_with_its_answer() -> anyhow::Result<()> {
    let rig = Rig::start(RigOptions { workers: 2, ..RigOptions::default() }).await?;
    let input = rig.write_rows("in.csv", (0..5_000).map(|row| format!("row {row}, with \"quotes\"\nand a newline")))?;
    let job_id = rig.submit(&input, "out.csv").await?;
    let job = rig.wait(&job_id, LONG).await?;
    assert_eq!((job.status.name(), job.counts.total, job.counts.succeeded), ("completed", Some(5_000), 5_000));

    let mut output = csv::Reader::from_path(rig.objects().join("out.csv"))?;
    let mut rows = 0;
    for (row, record) in output.records().enumerate() {
        let record = record?;
        let text = format!("row {row}, with \"quotes\"\nand a newline");
        assert_eq!(record.iter().take(4).collect::<Vec<_>>(), [&row.to_string(), &text, &text, "succeeded"]);
        rows += 1;
    }
    assert_eq!(rows, 5_000);
    let (clean, words) = rig.check(&job_id)?;
    assert!(clean, "{words}");
    let totals = sandbox::Totals::of(rig.oracle())?;
    assert_eq!((totals.requests, totals.billed), (5_000, 5_000));
    Ok(())
}
