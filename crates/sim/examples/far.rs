//! What routing costs a node, and how far its ways are from the shortest, as a network grows. Prints one JSON object.
//!
//! `far NODES LINKS_PER_NODE PAIRS`
//!
//! Nodes are linked with the next ones on the ring of ids and with random ones. After the start and two quiet minutes it
//! counts for two minutes what is said, and then has pairs of members drawn at random look for each other.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a measuring program")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use meshline_sim::{MS, SECOND, World};

/// Virtual time for the messages of the start to die away, and then to count what is said.
const SETTLE: u64 = 120;
const COUNTED: u64 = 120;

fn argument(at: usize, otherwise: usize) -> usize {
    std::env::args().nth(at).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Memory of this process in bytes.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).expect("pages") * 4_096.0
}

fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).expect("nanoseconds") / 1e9
}

/// Who is linked with whom.
fn neighbours(world: &mut World) -> Vec<BTreeSet<usize>> {
    let index: BTreeMap<_, _> = (0..world.len()).map(|node| (world.id(node), node)).collect();
    let links = |node| world.status(node).links.iter().map(|link| index[&link.peer]).collect();
    (0..index.len()).map(links).collect()
}

/// Links on the shortest way.
fn shortest(near: &[BTreeSet<usize>], from: usize, to: usize) -> usize {
    let mut far = BTreeMap::from([(from, 0)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            break;
        }
        for next in near[at].iter().filter(|next| !far.contains_key(next)).copied().collect::<Vec<_>>() {
            far.insert(next, far[&at] + 1);
            queue.push_back(next);
        }
    }
    far[&to]
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("small"))
}

struct Pairs {
    reached: usize,
    first: usize,
    found: usize,
    shortest: usize,
    longest: usize,
}

/// Has pairs look for each other: how far it is the first time, by the way that was found, and at least.
fn measure(world: &mut World, near: &[BTreeSet<usize>], wanted: usize) -> Pairs {
    let mut pairs = Pairs { reached: 0, first: 0, found: 0, shortest: 0, longest: 0 };
    for flow in 0..wanted {
        let (from, to) = (world.rng().index(near.len()), world.rng().index(near.len()));
        if from == to || world.send_datagram(from, to, u32::try_from(flow).expect("few"), b"x").is_err() {
            continue;
        }
        let id = world.id(to);
        world.run_until(8 * SECOND, 50 * MS, |world| world.table(from).routes.contains_key(&id));
        // A way known beforehand is there before the datagram has arrived.
        world.run_for(SECOND);
        let arrived = world.take_datagrams(to).into_iter().map(|(line, _)| 32 - usize::from(line.ttl)).next();
        let way = world.table(from).routes.get(&id).map(|route| route.paths[0].hops.len());
        if let (Some(first), Some(way)) = (arrived, way) {
            pairs.reached += 1;
            pairs.first += first;
            pairs.found += way;
            pairs.shortest += shortest(near, from, to);
            pairs.longest = pairs.longest.max(way);
        }
    }
    pairs
}

fn main() {
    let (nodes, degree, wanted) = (argument(1, 100), argument(2, 8), argument(3, 200));
    let (empty, began) = (resident(), processor_time());
    let mut world = World::new(1).verified_once();
    world.add_wide(nodes, degree, |config| config.max_links = 64);
    world.start_all();
    world.run_for(10 * SECOND);
    let start = processor_time() - began;
    world.run_for(SETTLE * SECOND);
    let state = (resident() - empty) / count(nodes);
    world.weigh();
    let before = world.traffic();
    world.run_for(COUNTED * SECOND);
    let after = world.traffic();
    let control = |kinds: &[&str]| {
        let is_one = |kind: &str| kinds.iter().any(|prefix| kind.starts_with(prefix));
        let of = |(kind, (frames, bytes)): (&&'static str, &(u64, u64))| {
            let (frames_before, bytes_before) = before.get(kind).copied().unwrap_or_default();
            is_one(kind).then_some((frames - frames_before, bytes - bytes_before))
        };
        let sum = after.iter().filter_map(of).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let minutes = count(nodes) * count(usize::try_from(COUNTED).expect("small")) / 60.0;
        let a_minute = |number: u64| count(usize::try_from(number).expect("small")) / minutes;
        format!("[{:.1},{:.0}]", a_minute(sum.0), a_minute(sum.1))
    };
    let routing = control(&["routing", "datagram"]);
    let (gossip, time) = (control(&["gossip"]), control(&["time"]));
    let reports: Vec<_> = (0..nodes).map(|node| world.status(node)).collect();
    let held = reports.iter().map(|status| status.routing.advertisements).sum::<usize>();
    let members = reports.iter().map(|status| status.limits.members).sum::<usize>();
    let landmarks = (0..nodes).map(|node| world.table(node).landmarks.len()).sum::<usize>();
    let near = neighbours(&mut world);
    let pairs = measure(&mut world, &near, wanted);
    let mean = |sum: usize| count(sum) / count(pairs.reached.max(1));
    println!(
        "{{\"nodes\":{nodes},\"start_cpu_s\":{start:.1},\"bytes_a_node\":{state:.0},\"advertisements\":{:.0},\
         \"members\":{:.0},\"landmarks\":{:.0},\"routing_a_minute\":{routing},\"gossip_a_minute\":{gossip},\
         \"time_a_minute\":{time},\"pairs\":{wanted},\"reached\":{},\"first_hops\":{:.2},\"hops\":{:.2},\
         \"shortest\":{:.2},\"stretch\":{:.3},\"longest\":{}}}",
        count(held) / count(nodes),
        count(members) / count(nodes),
        count(landmarks) / count(nodes),
        pairs.reached,
        mean(pairs.first),
        mean(pairs.found),
        mean(pairs.shortest),
        count(pairs.found) / count(pairs.shortest.max(1)),
        pairs.longest,
    );
}
