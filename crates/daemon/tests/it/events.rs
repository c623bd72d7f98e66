//! Server-sent events over real connections.

use crate::support::Member;

#[tokio::test]
async fn a_message_is_told_to_all_readers_under_one_id() {
    let member = Member::start().await;
    let mut readers = [member.stream("/api/v1/events", "").await, member.stream("/api/v1/events", "").await];
    let row = member.post("/api/v1/chat", r#"{"text":"two\nlines \u2028 \"x\""}"#).await.json();
    let mut ids = Vec::new();
    for reader in &mut readers {
        let event = reader.event().await;
        assert_eq!((event.name.as_str(), &event.data["text"]), ("chat", &row["text"]));
        assert_eq!(event.data["cursor"], row["cursor"]);
        ids.push(event.id);
    }
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0].split_once('-').is_some_and(|(run, number)| !run.is_empty() && number.parse::<u64>().is_ok()));
}

#[tokio::test]
async fn a_stream_begins_with_how_soon_to_come_back_and_an_id_to_come_back_with() {
    let member = Member::start().await;
    let mut reader = member.stream("/api/v1/events", "").await;
    let greeting = reader.until("\n\n").await;
    let id = greeting.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    assert!(greeting.contains("retry: 1000\n"), "{greeting}");
    drop(reader);
    member.write("while away").await;
    let mut reader = member.stream("/api/v1/events", &format!("Last-Event-ID: {id}\r\n")).await;
    assert_eq!(reader.event().await.data["text"], "while away");
}

#[tokio::test]
async fn what_happened_before_is_told_with_its_time_and_the_stream_goes_on_behind_it() {
    let member = Member::start().await;
    for text in ["one", "two", "three"] {
        member.write(text).await;
    }
    let document = member.get("/api/v1/events/past?limit=2").await.json();
    assert_eq!(document["schema"], "meshline/events/1");
    let events: Vec<_> = document["events"].as_array().unwrap().iter().collect();
    let texts: Vec<_> = events.iter().map(|event| (event["event"].as_str(), event["data"]["text"].as_str())).collect();
    assert_eq!(texts, [(Some("chat"), Some("two")), (Some("chat"), Some("three"))]);
    assert!(events[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{document}");
    let last = document["last_event_id"].as_str().unwrap();
    let mut reader = member.stream(&format!("/api/v1/events?last_event_id={last}"), "").await;
    member.write("four").await;
    assert_eq!(reader.event().await.data["text"], "four", "none twice, none left out");
    for limit in ["0", "1025", "x"] {
        assert_eq!(member.get(&format!("/api/v1/events/past?limit={limit}")).await.status, 400, "{limit}");
    }
}

#[tokio::test]
async fn who_lost_the_connection_hears_all_it_missed_in_order_and_once() {
    let member = Member::start().await;
    let mut reader = member.stream("/api/v1/events", "").await;
    member.write("0").await;
    let last = reader.event().await.id;
    drop(reader);
    for text in 1..=20 {
        member.write(&text.to_string()).await;
    }
    let by_header = ("/api/v1/events".to_owned(), format!("Last-Event-ID: {last}\r\n"));
    let by_query = (format!("/api/v1/events?last_event_id={last}"), String::new());
    let both = ("/api/v1/events?last_event_id=other-1".to_owned(), by_header.1.clone());
    for (path, headers) in [by_header, by_query, both] {
        let mut reader = member.stream(&path, &headers).await;
        for text in 1..=20 {
            let event = reader.event().await;
            assert_eq!((event.name.as_str(), &event.data["text"]), ("chat", &text.to_string().into()), "{path}");
        }
    }
}

#[tokio::test]
async fn an_id_of_another_run_is_answered_with_a_reset_and_then_with_what_comes() {
    let member = Member::start().await;
    for id in ["0badf00d-3", "nonsense", "\u{e4}"] {
        let mut reader = member.stream("/api/v1/events", &format!("Last-Event-ID: {id}\r\n")).await;
        let event = reader.event().await;
        assert_eq!((event.name.as_str(), &event.data["reason"]), ("reset", &"unknown_id".into()));
        member.write("after").await;
        assert_eq!(reader.event().await.data["text"], "after");
    }
}
