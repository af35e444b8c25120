//! Keeps this process's share of a limit group up to date: one short transaction a second while there is work, and at once
//! where others should hear of something.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::flow::Flow;
use tokio::time::Instant;

use super::{Group, MAX_COOLDOWN};

/// Least time between two exchanges.
const LEAST: Duration = Duration::from_millis(100);
/// Most time between two while there is work: so late does one worker hear what another found out.
const MOST: Duration = Duration::from_secs(1);
/// A group without work for so long gives its permits back.
const IDLE: Duration = Duration::from_secs(4);

/// An exchange is wanted now.
pub(super) fn ask(group: &Arc<Group>) {
    group.wanted.notify_one();
    keep_up(group);
}

/// Exchanges go on by themselves while there is work.
pub(super) fn keep_up(group: &Arc<Group>) {
    if !group.is_exchanging.swap(true, Ordering::AcqRel) {
        tokio::spawn(run(group.clone()));
    }
}

async fn run(group: Arc<Group>) {
    let mut busy_at = Instant::now();
    loop {
        if group.unsent() > 0 || group.share().in_flight() > 0 {
            busy_at = Instant::now();
        }
        let leaves = busy_at.elapsed() >= IDLE;
        let exchanged = exchange(&group, leaves).await;
        group.changed.notify_waiters();
        let done = Instant::now();
        match exchanged {
            Ok(()) if leaves => break,
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(limit_group = group.name.0, %error, "the limit group's share was not renewed");
                tokio::time::sleep(MOST).await;
                continue;
            }
        }
        let renew_at = group.share().renew_at().unwrap_or(done);
        tokio::select! {
            () = tokio::time::sleep_until(renew_at.clamp(done + LEAST, done + MOST)) => {}
            () = group.wanted.notified() => tokio::time::sleep_until(done + LEAST).await,
        }
    }
    group.is_exchanging.store(false, Ordering::Release);
    // Somebody may have asked meanwhile.
    if group.unsent() > 0 {
        keep_up(&group);
    }
}

async fn exchange(group: &Group, leaves: bool) -> db::Result<()> {
    let rows = group.unsent();
    group.told.store(rows, Ordering::Relaxed);
    let told = group.share().tell(rows, leaves);
    let exchanged = async {
        let mut tx = group.db.scheduler().await?;
        let (stored, now) = db::limit_groups::lock_flow(&mut tx, &group.name).await?;
        let at = Instant::now();
        // What an earlier version wrote in another form is begun anew.
        let mut flow: Flow = serde_json::from_value(stored).unwrap_or_default();
        let answer = told.apply(&mut flow, &group.shared, now, leaves);
        let written = serde_json::to_value(&flow).unwrap_or_default();
        db::limit_groups::set_flow(&mut tx, &group.name, &written).await?;
        tx.commit().await?;
        Ok((flow, answer, at))
    };
    match exchanged.await {
        Ok((flow, answer, at)) => {
            let patience = {
                let mut share = group.share();
                share.heard(&flow, answer, at);
                share.patience(&flow)
            };
            if let Some(wait) = patience {
                group.gate.cool_down(wait.min(MAX_COOLDOWN));
            }
            Ok(())
        }
        Err(error) => {
            group.share().take_back(told);
            Err(error)
        }
    }
}
