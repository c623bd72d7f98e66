//! Ways that a script names, and what becomes of the connections.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Answers the first and the second time it is asked.
struct Script(Mutex<Vec<Way>>, Mutex<Vec<(Errand, bool)>>);

impl Detour for Script {
    fn open<'a>(
        &'a self,
        errand: Errand,
        _: &'a Address,
        failed: bool,
    ) -> Pin<Box<dyn Future<Output = Way> + Send + 'a>> {
        self.1.lock().unwrap().push((errand, failed));
        let way = self.0.lock().unwrap().pop().unwrap_or(Way::Straight);
        Box::pin(std::future::ready(way))
    }
}

fn id(byte: u8) -> NodeId {
    NodeId::from_bytes([byte; 32])
}

fn address() -> Address {
    "192.0.2.1:6001".parse().unwrap()
}

fn through() -> Way {
    Way::Through { by: id(9), stream: Box::new(tokio::io::empty()) }
}

/// What comes of it, how often it was tried straight, and what the detour was asked.
async fn opened(
    mut ways: Vec<Way>,
    straight: bool,
) -> (Result<Option<NodeId>, ProveError>, usize, Vec<(Errand, bool)>) {
    ways.reverse();
    let script = Arc::new(Script(Mutex::new(ways), Mutex::default()));
    let (detours, tried) = (Detours::default(), AtomicUsize::new(0));
    let weak: Weak<Script> = Arc::downgrade(&script);
    detours.set(weak);
    let attempt = || {
        tried.fetch_add(1, Ordering::Relaxed);
        let refused = ProveError::new(Code::Unreachable, &"refused");
        std::future::ready(if straight { Ok(()) } else { Err(refused) })
    };
    let opened = detours.open(Errand::Link(None), &address(), attempt).await;
    let asked = script.1.lock().unwrap().clone();
    let by = opened.map(|opened| match opened {
        Opened::Straight(()) => None,
        Opened::Through { by, .. } => Some(by),
    });
    (by, tried.into_inner(), asked)
}

#[tokio::test]
async fn without_a_detour_and_after_its_end_connections_go_straight() {
    let detours = Detours::default();
    let straight = || std::future::ready(Ok(()));
    assert!(matches!(detours.open(Errand::Signal, &address(), straight).await, Ok(Opened::Straight(()))));
    let gone: Weak<Script> = Arc::downgrade(&Arc::new(Script(Mutex::new(vec![through()]), Mutex::default())));
    detours.set(gone);
    assert!(matches!(detours.open(Errand::Signal, &address(), straight).await, Ok(Opened::Straight(()))));
}

#[tokio::test]
async fn a_named_member_is_taken_its_absence_named_and_its_refusal_told() {
    let (by, tried, _) = opened(vec![through()], true).await;
    assert_eq!((by, tried), (Ok(Some(id(9))), 0));
    let (by, tried, _) = opened(vec![Way::Away("bobby is away".to_owned())], true).await;
    assert_eq!((by, tried), (Ok(None), 1), "somebody has to be reached straight first");
    let (by, _, _) = opened(vec![Way::Away("bobby is away".to_owned())], false).await;
    let detail = "bobby is away; straight: refused (unreachable)".to_owned();
    assert_eq!(by, Err(ProveError { code: Code::NoRoute, detail }));
    let refused = ProveError::new(Code::Forbidden, &"through bobby: no");
    let failed = Way::Failed { code: refused.code, detail: refused.detail.clone() };
    let (by, tried, _) = opened(vec![failed], true).await;
    assert_eq!((by, tried), (Err(refused), 0), "whoever wants it through bobby does not want it straight");
}

#[tokio::test]
async fn what_is_tried_straight_first_goes_through_somebody_when_that_fails() {
    let (by, tried, asked) = opened(vec![Way::First, through()], true).await;
    assert_eq!((by, tried, asked.len()), (Ok(None), 1, 1));
    let (by, tried, asked) = opened(vec![Way::First, through()], false).await;
    assert_eq!((by, tried), (Ok(Some(id(9))), 1));
    assert_eq!(asked, [(Errand::Link(None), false), (Errand::Link(None), true)]);
    let (by, _, _) = opened(vec![Way::First, Way::Away("nobody".to_owned())], false).await;
    assert_eq!(by.unwrap_err().code, Code::NoRoute);
}

#[tokio::test]
async fn who_answered_last_at_an_address_is_expected_there_and_so_many_are_remembered() {
    let script = Arc::new(Script(Mutex::default(), Mutex::default()));
    let detours = Detours::default();
    let weak: Weak<Script> = Arc::downgrade(&script);
    detours.set(weak);
    detours.answered(&address(), id(3));
    let straight = || std::future::ready(Ok(()));
    for errand in [Errand::Link(None), Errand::Link(Some(id(4))), Errand::Signal] {
        assert!(detours.open(errand, &address(), straight).await.is_ok());
    }
    let asked: Vec<Errand> = script.1.lock().unwrap().iter().map(|(errand, _)| *errand).collect();
    assert_eq!(asked, [Errand::Link(Some(id(3))), Errand::Link(Some(id(4))), Errand::Signal]);
    for port in 1..=u16::try_from(MAX_ANSWERED).unwrap() + 1 {
        detours.answered(&format!("192.0.2.2:{port}").parse().unwrap(), id(5));
    }
    assert_eq!(detours.lock().answered.len(), MAX_ANSWERED);
}
