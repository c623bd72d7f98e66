//! A dashboard with a screen, and a member to be shown.

use std::path::Path;

use jiff::tz::TimeZone;
use meshline_watch::documents::{Link, Message, Peer, Ring, Route, Service, Status};
use meshline_watch::{Action, Answer, Dashboard, Event, Key, Now, Panel, Settings, Theme};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use serde_json::{Value, json};

pub(crate) const PLAIN: Theme = Theme { colour: false, unicode: true };
pub(crate) const COLOURED: Theme = Theme { colour: true, unicode: true };
pub(crate) const ASCII: Theme = Theme { colour: false, unicode: false };

/// 2018-08-20 12:00:00 UTC.
const BEGIN: i64 = 1_534_766_400_000;

pub(crate) struct Bench {
    pub(crate) dashboard: Dashboard,
    terminal: Terminal<TestBackend>,
    pub(crate) now: Now,
}

impl Bench {
    pub(crate) fn new(columns: u16, rows: u16, theme: Theme) -> Self {
        let settings = Settings { theme, zone: TimeZone::UTC, panel: Panel::Members };
        let terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory");
        Self { dashboard: Dashboard::new(settings), terminal, now: Now { mono_ms: 0, unix_ms: BEGIN } }
    }

    /// One beside a mesh of four, twenty seconds after it began.
    pub(crate) fn with_mesh(columns: u16, rows: u16, theme: Theme) -> Self {
        let mut bench = Self::new(columns, rows, theme);
        bench.tell(Event::Connected);
        for second in 0..20 {
            bench.answer(Answer::Status(Box::new(status(second))));
            bench.pass(1_000);
        }
        bench.answer(Answer::Peers(peers()));
        bench.answer(Answer::Routes(routes()));
        bench.answer(Answer::Chat(messages()));
        bench.answer(Answer::Services(services()));
        bench.happen("member_joined", &json!({"peer": id('e'), "name": "eddy"}));
        bench.happen("link_up", &json!({"peer": id('e'), "name": "eddy", "transport": "quic"}));
        bench.pass(2_000);
        bench.happen("link_down", &json!({"peer": id('z'), "name": "zoe", "code": "liveness_timeout"}));
        bench.happen(
            "route_changed",
            &json!({"peer": id('z'), "name": "zoe", "path": [id('d'), id('z')], "cost": 51_200, "cause": "link_down"}),
        );
        bench.answer(Answer::Status(Box::new(status(20))));
        bench
    }

    pub(crate) fn tell(&mut self, event: Event) -> Option<Action> {
        self.dashboard.handle(event, self.now)
    }

    pub(crate) fn answer(&mut self, answer: Answer) {
        assert_eq!(self.tell(Event::Answered(answer)), None);
    }

    pub(crate) fn happen(&mut self, name: &str, what: &Value) -> Option<Action> {
        self.tell(Event::Happened { name: name.to_owned(), what: what.clone() })
    }

    /// Presses keys; what the last one wants done.
    pub(crate) fn press(&mut self, keys: &[Key]) -> Option<Action> {
        keys.iter().map(|key| self.tell(Event::Key(*key))).last().flatten()
    }

    pub(crate) fn write(&mut self, text: &str) {
        for c in text.chars() {
            self.press(&[Key::Char(c)]);
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += i64::try_from(ms).expect("short");
        self.tell(Event::Tick);
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal.backend_mut().resize(columns, rows);
        self.terminal.autoresize().expect("memory");
    }

    pub(crate) fn buffer(&mut self) -> Buffer {
        let (dashboard, now) = (&mut self.dashboard, self.now);
        self.terminal.draw(|frame| dashboard.draw(frame, now)).expect("memory");
        self.terminal.backend().buffer().clone()
    }

    /// What the screen shows, a line each.
    pub(crate) fn screen(&mut self) -> String {
        let buffer = self.buffer();
        let area = buffer.area;
        let line = |y| {
            let mut line = String::new();
            let mut covered = 0;
            for x in 0..area.width {
                let symbol = buffer[(x, y)].symbol();
                if covered == 0 {
                    line.push_str(symbol);
                }
                let cells: usize = symbol.chars().map(|c| unicode_width::UnicodeWidthChar::width(c).unwrap_or(0)).sum();
                covered = cells.max(covered).saturating_sub(1);
            }
            line.trim_end().to_owned()
        };
        (0..area.height).map(line).collect::<Vec<_>>().join("\n")
    }

    /// The screen is as it was when it was committed.
    pub(crate) fn is_as(&mut self, name: &str) {
        let shown = self.screen() + "\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/screens/{name}.txt"));
        if std::env::var_os("MESHLINE_BLESS").is_some() {
            return std::fs::write(path, shown).expect("written");
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            shown == expected,
            "{name} is not as it was (MESHLINE_BLESS=1 writes it):\n{shown}\nit was:\n{expected}"
        );
    }

    pub(crate) fn shows(&mut self, text: &str) {
        let screen = self.screen();
        assert!(screen.contains(text), "{text:?} is not shown:\n{screen}");
    }

    pub(crate) fn hides(&mut self, text: &str) {
        let screen = self.screen();
        assert!(!screen.contains(text), "{text:?} is shown:\n{screen}");
    }
}

pub(crate) fn id(letter: char) -> String {
    letter.to_string().repeat(52)
}

pub(crate) fn status(second: u64) -> Status {
    let wave = [0, 3, 8, 4, 1][usize::try_from(second % 5).expect("small")];
    let link = |letter: char, name: &str, transport: &str, rtt: u64, goodput_bps, loss| Link {
        peer: id(letter),
        name: name.to_owned(),
        transport: transport.to_owned(),
        direction: "outbound".to_owned(),
        address: format!("192.0.2.{}:6001", u32::from(letter) - 96),
        purposes: vec!["all".to_owned()],
        rtt_us: Some(rtt + rtt * wave / 10),
        jitter_us: Some(12),
        min_rtt_us: Some(rtt),
        loss,
        goodput_bps,
        goodput_by: Some(if letter == 'd' { "traffic" } else { "probe" }.to_owned()),
        clock_offset_us: Some(-120),
        clock_error_us: Some(90),
        sent_bytes: second * 12_500 * (wave + 1),
        received_bytes: second * 2_500,
        up_ms: 300_000 + second * 1_000,
        ..Link::default()
    };
    Status {
        id: id('b'),
        name: "bobby".to_owned(),
        network: "seed".to_owned(),
        state: "connected".to_owned(),
        topology: "mesh".to_owned(),
        uptime_ms: 754_000 + second * 1_000,
        links: vec![
            link('e', "eddy", "quic", 48_000, 0, 0.021),
            link('d', "donald", "tcp", 310, 94_000_000 + wave * 1_000_000, 0.0),
        ],
        ..Status::default()
    }
}

pub(crate) fn on_ring(mut status: Status) -> Status {
    status.ring = Some(Ring { length: 3, complete: true });
    status
}

pub(crate) fn peers() -> Vec<Peer> {
    let peer = |letter: char, name: &str| Peer {
        id: id(letter),
        name: name.to_owned(),
        reachable: true,
        direct: true,
        path: vec![id(letter)],
        hops: 1,
        cost: Some(600),
        addresses: vec![format!("192.0.2.{}:6001", u32::from(letter) - 96)],
        ..Peer::default()
    };
    vec![
        Peer {
            direct: false,
            via: Some(id('d')),
            hops: 2,
            cost: Some(51_200),
            path: vec![id('d'), id('z')],
            ..peer('z', "zoe")
        },
        peer('d', "donald"),
        Peer { roles: vec!["exit".to_owned()], cost: Some(50_100), ..peer('e', "eddy") },
        Peer { reachable: false, direct: false, path: Vec::new(), left: true, ..peer('f', "fred") },
        Peer { reachable: false, direct: false, path: Vec::new(), ..peer('g', "gerda") },
    ]
}

fn routes() -> Vec<Route> {
    let route = |letter: char, name: &str, rank, path: &[char], cost, share| Route {
        peer: id(letter),
        name: name.to_owned(),
        rank,
        path: path.iter().map(|hop| id(*hop)).collect(),
        cost,
        share,
    };
    vec![
        route('d', "donald", 1, &['d'], 600, 1_000),
        route('e', "eddy", 1, &['e'], 50_100, 800),
        route('e', "eddy", 2, &['d', 'e'], 52_000, 200),
        route('z', "zoe", 1, &['d', 'z'], 51_200, 1_000),
    ]
}

fn services() -> Vec<Service> {
    let service = |name: &str, kind: &str, letter: char, member: &str, port, health: &str| Service {
        name: name.to_owned(),
        kind: kind.to_owned(),
        member: id(letter),
        member_name: member.to_owned(),
        port,
        text: json!({"path": "/"}),
        health: health.to_owned(),
        expires_ms: Some(45_000),
        cost: Some(600),
        damped: false,
    };
    vec![
        service("web", "_http._tcp", 'd', "donald", 8080, "up"),
        service("attic-sensor", "_mqtt._tcp", 'e', "eddy", 1883, "down"),
    ]
}

pub(crate) fn message(clock: u64, name: &str, text: &str) -> Message {
    Message {
        cursor: clock.to_string(),
        author: id(name.chars().next().unwrap_or('x')),
        name: name.to_owned(),
        text: text.to_owned(),
        time: format!("2018-08-20T11:59:{:02}.000000Z", clock % 60),
        clock,
        seq: clock,
        state: "received".to_owned(),
        ..Message::default()
    }
}

pub(crate) fn own(clock: u64, text: &str, state: &str, delivered_to: usize) -> Message {
    Message { own: true, state: state.to_owned(), delivered_to, delivered_of: 3, ..message(clock, "bobby", text) }
}

fn messages() -> Vec<Message> {
    vec![
        message(1, "donald", "is the attic sensor down?"),
        own(2, "since this morning", "delivered", 3),
        message(
            3,
            "eddy",
            "the battery, I think. Somebody will have to climb up there and change it before the weekend\nand take a lamp",
        ),
    ]
}
