//! The limits of dialling back: where, how often, how many at once.

use meshline_identity::KeyPair;

use super::*;

fn question(n: u8, address: &str, observed: &str) -> Question {
    Question {
        network: "lab".parse().expect("a name"),
        id: KeyPair::from_secret([n; 32]).id(),
        seq: UnixMicros::new(1),
        address: address.parse().expect("an address"),
        observed: observed.parse().expect("an address"),
    }
}

#[test]
fn an_outcome_is_remembered_for_the_member_and_address_it_is_about() {
    let start = Instant::now();
    let mut recent = Recent::new(start);
    let asked = question(1, "192.0.2.1:1", "192.0.2.9");
    assert_eq!(recent.verdict(&asked, start), Verdict::Dial);
    assert_eq!(recent.verdict(&asked, start), Verdict::Skip, "under way");
    recent.remember(&asked, true);
    assert_eq!(recent.verdict(&asked, start), Verdict::Known(true));
    assert_eq!(recent.verdict(&asked, start + WINDOW), Verdict::Dial);
}

#[test]
fn one_address_is_dialled_for_so_many_members() {
    let start = Instant::now();
    let mut recent = Recent::new(start);
    for n in 0..u8::try_from(MAX_PER_TARGET).expect("small") {
        assert_eq!(recent.verdict(&question(n, "192.0.2.1:1", "192.0.2.9"), start), Verdict::Dial);
    }
    assert_eq!(recent.verdict(&question(99, "192.0.2.1:1", "192.0.2.9"), start), Verdict::Skip);
    assert_eq!(recent.verdict(&question(99, "192.0.2.2:1", "192.0.2.9"), start), Verdict::Dial);
}

#[test]
fn so_many_addresses_are_dialled_within_a_window() {
    let start = Instant::now();
    let mut recent = Recent::new(start);
    for port in 0..u16::try_from(MAX_TARGETS).expect("small") {
        assert_eq!(recent.verdict(&question(1, &format!("192.0.2.1:{port}"), "192.0.2.9"), start), Verdict::Dial);
    }
    let beyond = question(1, "192.0.2.2:1", "192.0.2.9");
    assert_eq!(recent.verdict(&beyond, start), Verdict::Skip);
    assert_eq!(recent.verdict(&beyond, start + WINDOW), Verdict::Dial);
}

#[tokio::test]
async fn only_places_that_the_announcer_may_name_are_dialled() {
    let dial_back = |_: SocketAddr, _: NodeId| async { true };
    for (address, observed, wanted) in [
        ("198.51.100.1:1", "192.0.2.1", true),
        ("[::ffff:198.51.100.1]:1", "192.0.2.1", true),
        ("127.0.0.1:1", "192.0.2.1", false),
        ("localhost:1", "192.0.2.1", false),
        ("[::ffff:127.0.0.1]:1", "192.0.2.1", false),
        ("169.254.169.254:1", "192.0.2.1", false),
        ("10.0.0.1:1", "192.0.2.1", false),
        ("100.64.0.1:1", "192.0.2.1", false),
        ("[fd00::1]:1", "192.0.2.1", false),
        ("[fe80::1]:1", "192.0.2.1", false),
        ("[64:ff9b::7f00:1]:1", "192.0.2.1", false),
        ("[2002:7f00:1::]:1", "192.0.2.1", false),
        ("0.0.0.0:1", "127.0.0.1", false),
        ("224.0.0.1:1", "192.0.2.1", false),
        ("255.255.255.255:1", "192.0.2.1", false),
        ("10.0.0.1:1", "192.168.0.1", true),
        ("169.254.0.1:1", "169.254.0.2", true),
        ("127.0.0.1:1", "127.0.0.1", true),
        ("10.0.0.1:1", "127.0.0.1", false),
    ] {
        assert_eq!(prove(&question(1, address, observed), &dial_back).await, wanted, "{address} from {observed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_answer_in_time_has_not_answered() {
    let silent = |_: SocketAddr, _: NodeId| std::future::pending::<bool>();
    assert!(!prove(&question(1, "198.51.100.1:1", "192.0.2.1"), &silent).await);
}

#[tokio::test]
async fn so_many_dial_backs_are_under_way_at_once_and_all_outcomes_are_told() {
    let (gate, under_way) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new((0_usize, 0_usize))));
    let (opened, counted) = (Arc::clone(&gate), Arc::clone(&under_way));
    let dial_back = move |_: SocketAddr, _: NodeId| {
        let (gate, counted) = (Arc::clone(&opened), Arc::clone(&counted));
        async move {
            {
                let mut counts = counted.lock().expect("unbroken");
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            gate.acquire().await.expect("open").forget();
            counted.lock().expect("unbroken").0 -= 1;
            true
        }
    };
    let (queue, questions) = DialQueue::new(true);
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let working = tokio::spawn(work(questions, Arc::new(dial_back), move |_, answered| {
        told.send(answered).expect("heard");
    }));
    for port in 1..=40_u16 {
        queue.ask(question(1, &format!("198.51.100.1:{port}"), "192.0.2.1"));
    }
    for _ in 0..40 {
        gate.add_permits(1);
        assert!(outcomes.recv().await.expect("an outcome"));
    }
    assert!(under_way.lock().expect("unbroken").1 <= MAX_DIALS);
    working.abort();
}

#[tokio::test]
async fn a_full_queue_leaves_questions_out() {
    let (queue, mut questions) = DialQueue::new(true);
    for port in 0..300_u16 {
        queue.ask(question(1, &format!("198.51.100.1:{port}"), "192.0.2.1"));
    }
    let mut waiting = 0;
    while questions.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting, MAX_WAITING);
    let (queue, mut questions) = DialQueue::new(NoDialBack.is_available());
    queue.ask(question(1, "198.51.100.1:1", "192.0.2.1"));
    assert!(questions.try_recv().is_err(), "nobody to ask");
}
