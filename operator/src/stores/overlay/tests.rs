use super::*;
use crate::world::Node;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use std::collections::VecDeque;

const NAME: &str = "n1";

/// What can happen next to the one object under test.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Somebody else writes or creates it.
    Foreign,
    /// Somebody else deletes it.
    ForeignDelete,
    /// We send a write, a delete, or a GET.
    Begin(Ours),
    /// The server executes our request.
    Commit,
    /// The answer arrives, or is lost.
    Answer {
        lost: bool,
    },
    /// The watch shows the next event.
    Watch,
    /// The store begins a list; the server reads it; the store receives it.
    ListBegin,
    ListRead,
    ListEnd,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ours {
    Write,
    Delete,
    Get,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => Just(Happening::Foreign),
        1 => Just(Happening::ForeignDelete),
        2 => Just(Happening::Begin(Ours::Write)),
        1 => Just(Happening::Begin(Ours::Delete)),
        1 => Just(Happening::Begin(Ours::Get)),
        4 => Just(Happening::Commit),
        3 => Just(Happening::Answer { lost: false }),
        1 => Just(Happening::Answer { lost: true }),
        4 => Just(Happening::Watch),
        1 => Just(Happening::ListBegin),
        1 => Just(Happening::ListRead),
        1 => Just(Happening::ListEnd),
    ]
}

#[derive(Clone, Debug)]
enum Event {
    Apply(Node),
    Delete(Node),
}

#[derive(Clone, Debug)]
enum Reply {
    Object(Arc<Node>),
    Deleted(String),
    NotFound,
}

#[derive(Default)]
struct Model {
    version: u64,
    uids: u64,
    server: Option<Node>,
    events: VecDeque<Event>,
    stored: Option<Arc<Node>>,
    overlay: Overlay<Node>,
    sent: Option<(Ours, Option<String>)>,
    reply: Option<Reply>,
    doubt: bool,
    listing: bool,
    list: Option<Vec<Node>>,
    last_delete: u64,
    mutant: Option<Mutant>,
}

/// A bug that the property must find: the overlay forgets what the store saw while a request was under way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mutant {
    ForgetsLists,
    ForgetsDeletions,
}

impl Model {
    fn forget(&mut self, mutant: Mutant) {
        if self.mutant == Some(mutant) && self.sent.is_some() {
            self.overlay.begin(NAME);
        }
    }

    fn write(&mut self) -> Node {
        self.version += 1;
        let uid = self.server.as_ref().map(|n| n.uid.clone());
        let uid = uid.unwrap_or_else(|| {
            self.uids += 1;
            format!("u{}", self.uids)
        });
        let node = Node {
            name: NAME.into(),
            uid,
            resource_version: self.version.to_string(),
            boot_id: format!("content {}", self.version),
            ..Node::default()
        };
        self.server = Some(node.clone());
        self.events.push_back(Event::Apply(node.clone()));
        node
    }

    fn delete(&mut self) {
        if let Some(mut node) = self.server.take() {
            self.version += 1;
            self.last_delete = self.version;
            node.resource_version = self.version.to_string();
            self.events.push_back(Event::Delete(node));
        }
    }

    fn effective(&self) -> Option<Arc<Node>> {
        self.overlay.effective(NAME, self.stored.as_ref())
    }

    fn begin(&mut self, ours: Ours) {
        // Only one request at a time, and for an object in doubt only a GET.
        if self.sent.is_none() && (!self.doubt || ours == Ours::Get) {
            let uid = self.effective().map(|n| n.uid.clone());
            if ours == Ours::Delete && uid.is_none() {
                return;
            }
            self.overlay.begin(NAME);
            self.sent = Some((ours, uid));
            self.reply = None;
        }
    }

    fn commit(&mut self) {
        let (Some((ours, uid)), None) = (self.sent.clone(), &self.reply) else {
            return;
        };
        let now = self.server.as_ref().map(|n| n.uid.clone());
        self.reply = Some(match ours {
            Ours::Write if uid.is_none() || uid == now => Reply::Object(Arc::new(self.write())),
            Ours::Delete if now.is_some() && uid == now => {
                self.delete();
                Reply::Deleted(uid.unwrap())
            }
            Ours::Get if now.is_some() => Reply::Object(Arc::new(self.server.clone().unwrap())),
            Ours::Write | Ours::Delete | Ours::Get => Reply::NotFound,
        });
    }

    fn answer(&mut self, lost: bool) {
        let (Some((ours, _)), Some(reply)) = (self.sent.clone(), self.reply.clone()) else {
            return;
        };
        self.sent = None;
        if lost {
            self.overlay.ended(NAME);
            self.doubt = true;
            return;
        }
        let settled = match reply {
            Reply::Object(node) => {
                let version: u64 = node.resource_version.parse().unwrap();
                let settled = self.overlay.answered(self.stored.as_ref(), node);
                if settled == Settled::Clear && self.last_delete < version {
                    let seen = self.effective().expect("our own write is in the world");
                    assert!(at_least(&seen.resource_version, &version.to_string()));
                }
                settled
            }
            Reply::Deleted(uid) => self.overlay.deleted(NAME, &uid, self.stored.as_ref()),
            // A write that fails because of the uid says nothing about the name; only a GET does.
            Reply::NotFound if ours == Ours::Get => {
                self.overlay.gone(NAME, self.stored.as_ref());
                Settled::Clear
            }
            Reply::NotFound => {
                self.overlay.ended(NAME);
                Settled::Clear
            }
        };
        self.doubt = settled == Settled::Doubt || (self.doubt && ours != Ours::Get);
    }

    fn watch(&mut self) {
        // No events arrive while a list is being read.
        if self.listing {
            return;
        }
        match self.events.pop_front() {
            Some(Event::Apply(node)) => {
                self.overlay.store_applied(&node);
                self.stored = Some(Arc::new(node));
            }
            Some(Event::Delete(node)) => {
                self.overlay.store_deleted(&node);
                self.stored = None;
                self.forget(Mutant::ForgetsDeletions);
            }
            None => {}
        }
    }

    fn list_begin(&mut self) {
        if !self.listing {
            self.overlay.list_began();
            (self.listing, self.list) = (true, None);
        }
    }

    fn list_read(&mut self) {
        if self.listing && self.list.is_none() {
            self.list = Some(self.server.clone().into_iter().collect());
            self.events.clear();
        }
    }

    fn list_end(&mut self) {
        let Some(list) = self.list.take() else { return };
        self.listing = false;
        let present = list.iter().map(|n| n.name.clone()).collect();
        if let Some(node) = list.first() {
            self.overlay.store_applied(node);
        }
        self.stored = list.into_iter().next().map(Arc::new);
        self.doubt |= !self.overlay.list_ended(&present).is_empty();
        self.forget(Mutant::ForgetsLists);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Foreign => drop(self.write()),
            Happening::ForeignDelete => self.delete(),
            Happening::Begin(ours) => self.begin(ours),
            Happening::Commit => self.commit(),
            Happening::Answer { lost } => self.answer(lost),
            Happening::Watch => self.watch(),
            Happening::ListBegin => self.list_begin(),
            Happening::ListRead => self.list_read(),
            Happening::ListEnd => self.list_end(),
        }
    }

    fn come_to_rest(&mut self) {
        loop {
            self.commit();
            self.answer(false);
            self.list_read();
            self.list_end();
            if !self.doubt && self.sent.is_none() {
                break;
            }
            self.begin(Ours::Get);
        }
        while !self.events.is_empty() {
            self.watch();
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() }
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    proptest::collection::vec(happening(), 0..40)
}

fn comes_to_rest_with_the_last_state(happenings: Vec<Happening>, mutant: Option<Mutant>) -> Result<(), TestCaseError> {
    let mut model = Model { mutant, ..Model::default() };
    for happening in happenings {
        model.happen(happening);
    }
    model.come_to_rest();
    prop_assert!(model.overlay.is_empty(), "{:?}", model.overlay);
    prop_assert!(model.overlay.under_way.is_empty());
    let effective = model.effective();
    prop_assert_eq!(effective.as_deref(), model.server.as_ref());
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_interleaving_of_answers_and_events_ends_with_nothing_unseen_and_the_last_state(
        happenings in happenings()
    ) {
        comes_to_rest_with_the_last_state(happenings, None)?;
    }
}

#[test]
fn the_property_finds_an_overlay_that_forgets_what_the_store_saw_meanwhile() {
    for mutant in [Mutant::ForgetsLists, Mutant::ForgetsDeletions] {
        let mut runner = TestRunner::new_with_rng(config(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let outcome = runner.run(&happenings(), |h| comes_to_rest_with_the_last_state(h, Some(mutant)));
        assert!(outcome.is_err(), "{mutant:?} was not found");
    }
}

fn node(uid: &str, version: u32) -> Arc<Node> {
    Arc::new(Node { name: NAME.into(), uid: uid.into(), resource_version: version.to_string(), ..Node::default() })
}

#[test]
fn an_own_write_is_read_back_before_the_watch_shows_it() {
    let mut overlay = Overlay::default();
    let stored = node("a", 9);
    overlay.begin(NAME);
    assert_eq!(overlay.answered(Some(&stored), node("a", 10)), Settled::Clear);
    assert_eq!(overlay.effective(NAME, Some(&stored)), Some(node("a", 10)));
    overlay.store_applied(&node("a", 9));
    assert_eq!(overlay.len(), 1, "versions are numbers: 9 is before 10");
    overlay.store_applied(&node("a", 11));
    assert!(overlay.is_empty());
}

#[test]
fn a_deleted_object_stays_hidden_until_the_store_has_seen_it_go() {
    let mut overlay = Overlay::default();
    let stored = node("a", 9);
    overlay.begin(NAME);
    assert_eq!(overlay.deleted(NAME, "a", Some(&stored)), Settled::Clear);
    assert_eq!(overlay.effective(NAME, Some(&stored)), None);
    overlay.store_deleted(&node("a", 12));
    assert!(overlay.is_empty());
}

#[test]
fn an_answer_that_a_list_without_the_object_overtook_is_in_doubt() {
    let mut overlay = Overlay::default();
    overlay.begin(NAME);
    overlay.list_began();
    assert!(overlay.list_ended(&BTreeSet::new()).is_empty());
    assert_eq!(overlay.answered(None, node("a", 10)), Settled::Doubt);
    assert!(overlay.is_empty());
}
