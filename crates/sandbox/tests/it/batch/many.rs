use futures::future::join_all;
use sandbox::Totals;

use super::client::{Client, line};
use crate::support::Sandbox;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_do_not_disturb_each_other() {
    let sandbox = Sandbox::start().await;
    let client = Client::openai(&sandbox);
    let ended = join_all((0..40).map(|batch| {
        let content = (0..50).map(|row| line(&format!("r{row}"), &format!("{batch}.{row}"))).collect();
        client.ended(content)
    }));
    for (number, batch) in ended.await.iter().enumerate() {
        let by_id = client.by_id(batch).await;
        assert_eq!(by_id.len(), 50);
        for (row, line) in by_id {
            let content = &line["response"]["body"]["choices"][0]["message"]["content"];
            assert_eq!(*content, format!("{number}.{}", row.trim_start_matches('r')));
        }
    }
    let totals = Totals::of(sandbox.log_path()).expect("readable");
    assert_eq!((totals.billed, totals.batches.ended["completed"], totals.batches.billed_again), (2000, 40, 0));
}
