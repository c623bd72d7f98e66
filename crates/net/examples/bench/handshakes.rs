//! Processor time of a handshake: TLS with keys proved both ways, both hellos judged, and the first measured clock,
//! between a member by hand and a whole node; and TLS alone with a bare acceptor.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::Plan;
use crate::child::Served;
use crate::figures::{median, median_ratio, rounded};
use crate::member::Member;
use crate::stack::key;
use crate::usage::cpu_ns;

/// Links of a full mesh of 50, and the members each of them meets.
const LINKS: f64 = 1_225.0;
const MEMBERS: u32 = 49;

/// Microseconds of both sides together, and of the two apart, for each round.
#[derive(Debug, Default)]
struct Rounds {
    dialler: Vec<f64>,
    acceptor: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, (dialler, acceptor): (f64, f64)) {
        self.dialler.push(dialler);
        self.acceptor.push(acceptor);
    }

    fn both(&self) -> Vec<f64> {
        self.dialler.iter().zip(&self.acceptor).map(|(dialler, acceptor)| dialler + acceptor).collect()
    }

    fn last(&self) -> String {
        let (dialler, acceptor) = (self.dialler.last().unwrap(), self.acceptor.last().unwrap());
        format!("dialler {dialler:4.0} µs, acceptor {acceptor:4.0} µs")
    }
}

pub(crate) async fn run(plan: Plan) {
    let members: Vec<Member> = (0..MEMBERS).map(|number| Member::new(key(number), None)).collect();
    let (bare, mesh) = (Served::start(&["serve-bare"]), Served::start(&["serve-stack"]));
    let (mut of_bare, mut of_mesh) = (Rounds::default(), Rounds::default());
    measure(&members, members.len(), &bare, true).await;
    measure(&members, members.len(), &mesh, false).await;
    for round in 1..=plan.rounds {
        of_bare.add(measure(&members, plan.size, &bare, true).await);
        of_mesh.add(measure(&members, plan.size, &mesh, false).await);
        println!("handshakes round {round}: bare TLS {} | mesh {}", of_bare.last(), of_mesh.last());
    }
    let (both, bare) = (of_mesh.both(), of_bare.both());
    let result = json!({
        "mode": "handshakes", "rounds": plan.rounds, "size": plan.size,
        "dialler_us": rounded(median(of_mesh.dialler.clone()), 0),
        "acceptor_us": rounded(median(of_mesh.acceptor.clone()), 0),
        "bare_dialler_us": rounded(median(of_bare.dialler.clone()), 0),
        "bare_acceptor_us": rounded(median(of_bare.acceptor.clone()), 0),
        "ratio": rounded(median_ratio(&both, &bare), 2),
        "mesh_of_50_cpu_s": rounded(median(both.clone()) * LINKS / 1e6, 3),
    });
    println!("{result}");
}

/// Connects one member after the other and ends each connection at once.
async fn measure(members: &[Member], count: usize, served: &Served, bare: bool) -> (f64, f64) {
    let used = || (cpu_ns(std::process::id()), cpu_ns(served.pid()));
    let before = used();
    for member in members.iter().cycle().take(count) {
        if bare {
            let mut stream = member.connect(served.address).await;
            let _ = stream.shutdown().await;
        } else {
            member.link(served.address).await.close().await;
        }
    }
    let after = used();
    let each = |before: u64, after: u64| (after - before) as f64 / 1e3 / count as f64;
    (each(before.0, after.0), each(before.1, after.1))
}
