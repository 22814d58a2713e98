//! What makes an agent silent, and what does not.

use crate::{
    key::Kind,
    stores::{
        Stores,
        observation::{Observation, Seen},
        projection::Renewal,
        store::Change,
    },
};
use crds::{Condition, NodeHealth, node_health::NodeHealthSpec, reason};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The operator, its clock, and the API server's count of versions.
struct Operator {
    stores: Stores,
    now: Instant,
    version: u64,
}

impl Operator {
    /// It has listed NodeHealths `a` and `b` with this reason in their condition AgentReporting, and their Leases.
    fn started(reason: &str) -> Self {
        let mut operator = Self { stores: Stores::new(false), now: Instant::now(), version: 100 };
        for name in ["a", "b"] {
            operator.see_health(Seen::Listed(health(name, reason)));
        }
        operator.list(&["old", "old"]);
        operator
    }

    fn see(&mut self, seen: Seen<Renewal>) -> Change {
        self.stores.observe(Observation::Lease(seen), self.now)
    }

    fn see_health(&mut self, seen: Seen<Arc<NodeHealth>>) {
        let _ = self.stores.observe(Observation::NodeHealth(seen), self.now);
    }

    /// The Leases of `a` and `b` with these stamps are listed.
    fn list(&mut self, stamps: &[&str; 2]) {
        let _ = self.see(Seen::ListBegan);
        for (node, stamp) in ["a", "b"].into_iter().zip(stamps) {
            let renewal = Renewal { node: node.into(), stamp: (*stamp).into(), version: "1".into() };
            let _ = self.see(Seen::Listed(renewal));
        }
        let _ = self.see(Seen::ListEnded);
        let _ = self.alive();
    }

    /// A bookmark arrives.
    fn alive(&mut self) -> Change {
        self.version += 1;
        self.see(Seen::Alive { version: self.version.to_string() })
    }

    fn renew(&mut self, node: &str) -> Change {
        self.version += 1;
        let (version, stamp) = (self.version.to_string(), format!("at {}", self.version));
        self.see(Seen::Applied(Renewal { node: node.into(), stamp, version }))
    }

    fn fail(&mut self) {
        let _ = self.see(Seen::Broken { error: "503 Service Unavailable".into() });
    }

    /// This many seconds in which the loop turns, and nothing arrives.
    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            let _ = self.stores.look(self.now);
        }
    }

    /// This many seconds with a bookmark every 10 s. Returns whether a decision is needed.
    fn listen(&mut self, seconds: u64) -> bool {
        let mut change = Change::None;
        for _ in 0..seconds / 10 {
            self.wait(10);
            change = change.max(self.alive());
        }
        change == Change::Changed
    }

    fn silent(&self) -> Vec<&str> {
        self.stores.world().silent.iter().map(String::as_str).collect()
    }
}

fn health(name: &str, reason: &str) -> Arc<NodeHealth> {
    let mut health = NodeHealth::new(name, NodeHealthSpec::default());
    let condition = Condition { type_: "AgentReporting".into(), reason: reason.into(), ..Condition::default() };
    health.status.get_or_insert_default().conditions.push(condition);
    Arc::new(health)
}

#[test]
fn an_agent_that_renews_nothing_for_150_s_is_silent_and_the_next_renewal_ends_that() {
    let mut operator = Operator::started(reason::REPORTING);
    assert_eq!(operator.renew("a"), Change::None);
    operator.listen(100);
    assert_eq!(operator.renew("b"), Change::None);
    assert!(!operator.listen(50));
    assert!(operator.listen(10));
    assert_eq!(operator.silent(), ["a"]);
    assert_eq!(operator.renew("a"), Change::Changed);
    assert!(operator.silent().is_empty());
    assert!(operator.listen(100));
    assert_eq!(operator.silent(), ["b"]);
}

#[test]
fn a_lease_that_is_written_without_a_new_renew_time_is_no_renewal() {
    let mut operator = Operator::started(reason::REPORTING);
    for _ in 0..17 {
        operator.wait(10);
        operator.version += 1;
        let version = operator.version.to_string();
        let _ = operator.see(Seen::Applied(Renewal { node: "a".into(), stamp: "old".into(), version }));
    }
    assert!(operator.silent().contains(&"a"));
}

#[test]
fn after_a_start_a_silent_agent_stays_silent_until_it_renews_and_the_others_have_150_s() {
    let mut operator = Operator::started(reason::AGENT_SILENT);
    assert_eq!(operator.silent(), ["a", "b"], "a stale report must not heal a dead node");
    assert_eq!(operator.renew("a"), Change::Changed);
    assert_eq!(operator.silent(), ["b"]);
    let mut operator = Operator::started(reason::REPORTING);
    operator.listen(150);
    assert!(operator.silent().is_empty());
    operator.listen(10);
    assert_eq!(operator.silent(), ["a", "b"]);
}

#[test]
fn a_renewal_that_is_seen_before_its_node_health_counts() {
    let mut operator = Operator { stores: Stores::new(false), now: Instant::now(), version: 100 };
    operator.list(&["old", "old"]);
    let _ = operator.renew("a");
    for name in ["a", "b"] {
        operator.see_health(Seen::Listed(health(name, reason::AGENT_SILENT)));
    }
    assert_eq!(operator.silent(), ["b"]);
}

#[test]
fn minutes_of_503_make_no_agent_silent_and_end_no_silence() {
    let mut operator = Operator::started(reason::REPORTING);
    let _ = operator.renew("a");
    operator.listen(160);
    let _ = operator.renew("a");
    assert_eq!(operator.silent(), ["b"]);
    for _ in 0..60 {
        operator.wait(10);
        operator.fail();
    }
    operator.list(&["at 122", "old"]);
    assert_eq!(operator.silent(), ["b"], "a's Lease has not changed either, but nobody could renew one");
    operator.listen(140);
    assert_eq!(operator.silent(), ["b"]);
    operator.listen(20);
    assert_eq!(operator.silent(), ["a", "b"]);
}

#[test]
fn a_watch_that_is_open_and_delivers_nothing_counts_no_silence() {
    let mut operator = Operator::started(reason::REPORTING);
    operator.wait(3_600);
    assert_eq!(operator.alive(), Change::None);
    assert!(operator.silent().is_empty());
}

#[test]
fn a_bookmark_of_a_version_that_was_seen_proves_nothing() {
    let mut operator = Operator::started(reason::REPORTING);
    for _ in 0..60 {
        operator.wait(10);
        let _ = operator.see(Seen::Alive { version: operator.version.to_string() });
    }
    assert!(operator.silent().is_empty(), "the API server runs, but nothing can be written");
}

#[test]
fn a_process_that_was_stopped_finds_no_agent_silent() {
    let mut operator = Operator::started(reason::REPORTING);
    let _ = operator.renew("a");
    for _ in 0..20 {
        operator.now += Duration::from_secs(40);
        let _ = operator.alive();
    }
    assert!(operator.silent().is_empty());
    operator.listen(160);
    assert_eq!(operator.silent(), ["a", "b"]);
}

#[test]
fn a_node_health_that_is_made_later_has_150_s_and_one_that_is_gone_is_forgotten() {
    let mut operator = Operator::started(reason::REPORTING);
    operator.listen(160);
    operator.see_health(Seen::Applied(health("new", reason::NEVER_REPORTED)));
    assert_eq!(operator.silent(), ["a", "b"]);
    operator.see_health(Seen::Deleted(health("a", "")));
    operator.listen(160);
    assert_eq!(operator.silent(), ["b", "new"]);
    let _ = operator.stores.observe(Observation::NodeHealth(Seen::ListBegan), operator.now);
    let _ = operator.stores.observe(Observation::NodeHealth(Seen::ListEnded), operator.now);
    assert!(operator.silent().is_empty());
    assert_eq!(operator.stores.incomplete().first(), Some(&Kind::Node));
}
