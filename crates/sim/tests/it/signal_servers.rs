//! Members that are told two signal servers use both, and either is enough.

use meshline_sim::{SECOND, SIGNAL, World, address, invariants, seed};

use crate::support::{seconds, settle};

const OTHER: &str = "http://other";
const BOTH: [&str; 2] = [SIGNAL, OTHER];

fn add(world: &mut World, servers: &[&str]) -> usize {
    world.add(|config| config.signal = servers.iter().map(|url| (*url).to_owned()).collect())
}

#[test]
fn one_member_at_both_servers_joins_the_members_of_either() {
    let mut world = World::new(seed(1));
    for node in 0..10 {
        add(&mut world, &[BOTH[node % 2]]);
    }
    world.start_all();
    world.run_for(60 * SECOND);
    assert!(!world.is_linked(0, 1) && world.is_linked(0, 2) && world.is_linked(1, 3), "two meshes");
    let between = add(&mut world, &BOTH);
    world.start(between);
    let took = settle(&mut world, 30 * SECOND, invariants::full_mesh);
    println!("one mesh after {:.2} s", seconds(took));
}

#[test]
fn who_is_told_both_gets_in_and_comes_back_with_either_of_them_down() {
    for (down, seed) in BOTH.into_iter().zip([seed(2), seed(3)]) {
        let mut world = World::new(seed);
        for _ in 0..6 {
            add(&mut world, &BOTH);
        }
        world.start_all();
        settle(&mut world, 60 * SECOND, invariants::full_mesh);
        world.set_signal_down_at(down, true);
        world.run_for(100 * SECOND);
        invariants::full_mesh(&mut world).expect("nobody is lost with a server");
        let newcomer = add(&mut world, &BOTH);
        world.start(newcomer);
        settle(&mut world, 30 * SECOND, invariants::full_mesh);
        // It forgets everybody, and has only the servers to ask.
        world.kill(newcomer);
        world.edit(newcomer, |_, saved| saved.peers.clear());
        world.start(newcomer);
        settle(&mut world, 30 * SECOND, invariants::full_mesh);
        // The other one goes instead, of those who came meanwhile it has heard by then.
        world.set_signal_down_at(down, false);
        world.run_for(120 * SECOND);
        BOTH.into_iter().for_each(|url| world.set_signal_down_at(url, url != down));
        let second = add(&mut world, &BOTH);
        world.start(second);
        settle(&mut world, 30 * SECOND, invariants::full_mesh);
    }
}

/// Members of each mesh, and links of a member: more of those than of these, so that each knows enough to choose among.
const MESH: usize = 12;
const LINKS: usize = 6;

#[test]
fn two_meshes_that_know_nothing_of_each_other_become_one_when_a_server_lists_both() {
    let mut world = World::new(seed(4));
    world.set_signal_down(true);
    for node in 0..2 * MESH {
        world.add(|config| {
            config.signal = vec![SIGNAL.to_owned()];
            config.max_links = LINKS;
            config.peers = (node % MESH > 0).then(|| address(node - node % MESH)).into_iter().collect();
        });
    }
    world.start_all();
    world.run_for(60 * SECOND);
    let pieces = |world: &mut World| world.pieces(&(0..2 * MESH).collect::<Vec<_>>()).len();
    assert_eq!(pieces(&mut world), 2);
    world.set_signal_down(false);
    let took = world.run_until(180 * SECOND, SECOND, |world| pieces(world) == 1);
    println!("one mesh after {:.2} s", seconds(took.expect("they meet")));
}
