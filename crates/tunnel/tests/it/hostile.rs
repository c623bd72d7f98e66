//! What the other end and those on the way may try.

use std::time::Duration;

use meshline_protocol::Code;
use meshline_tunnel::{Config, Event, Read};

use crate::network::{A, B, Network, PathModel};

#[test]
fn altered_packets_are_dropped_and_nothing_else_happens() {
    let mut network = Network::new(20, &[PathModel::new(100, 2)]);
    network.connect();
    network.meddle = Some(|packet, rng| {
        use rand_chacha::rand_core::Rng;
        if rng.next_u32() % 10 == 0 {
            let at = rng.next_u32() as usize % packet.len();
            packet[at] ^= 1 << (rng.next_u32() % 8);
        }
    });
    network.transfer(A, 300_000, Duration::from_secs(60)).expect("the transfer ends");
    let forged: u64 = network.ends.iter().map(|end| end.report(network.now).forged).sum();
    assert!(forged > 0, "some were altered");
}

#[test]
fn a_reader_who_does_not_read_costs_a_window_and_no_more() {
    let config = Config::for_memory(4 * 1024 * 1024);
    let mut network = Network::with_config(21, &[PathModel::new(1_000, 1)], config);
    network.connect();
    network.is_deaf[B] = true;
    let mut written = 0;
    for _ in 0..20 {
        let id = network.ends[A].open_stream(network.now).unwrap();
        network.run(Duration::from_millis(50));
        written += network.ends[A].write(id, &vec![3; 1024 * 1024], network.now).unwrap();
    }
    network.run(Duration::from_secs(2));
    let limit = usize::try_from(config.tunnel_window + config.send_buffers).unwrap();
    assert!(written <= limit, "{written} bytes were taken, {limit} fit");
    network.is_deaf[B] = false;
    network.run(Duration::from_secs(2));
    network.transfer(A, 1024 * 1024, Duration::from_secs(5)).expect("it goes on when it is read");
}

#[test]
fn a_stream_that_waits_for_what_others_hold_is_told_when_there_is_room() {
    let mut network = Network::with_config(26, &[PathModel::new(100, 1)], Config::for_memory(4 * 1024 * 1024));
    network.connect();
    let ids: Vec<_> = (0..5).map(|_| network.ends[A].open_stream(network.now).unwrap()).collect();
    let chunk = vec![3; 1024 * 1024];
    for id in &ids[..3] {
        assert_eq!(network.ends[A].write(*id, &chunk, network.now), Ok(512 * 1024));
    }
    // The last quarter is shared out in small pieces.
    assert_eq!(network.ends[A].write(ids[3], b"small", network.now), Ok(5));
    assert_eq!(network.ends[A].write(ids[4], &chunk, network.now), Ok(256));
    assert_eq!(network.ends[A].write(ids[4], b"small", network.now), Ok(0));
    let is_told = |network: &mut Network| {
        network.events[A].iter().any(|event| matches!(event, Event::Writable(id) if *id == ids[4]))
    };
    assert!(!is_told(&mut network));
    assert!(network.run_until(Duration::from_secs(2), is_told));
    assert_eq!(network.ends[A].write(ids[4], b"small", network.now), Ok(5));
}

#[test]
fn streams_that_nobody_reads_any_more_do_not_hold_up_others() {
    let mut network = Network::new(27, &[PathModel::new(1_000, 20)]);
    network.connect();
    let ids: Vec<_> = (0..4).map(|_| network.ends[A].open_stream(network.now).unwrap()).collect();
    let chunk = vec![3; 1024 * 1024];
    for round in 0..400 {
        for id in &ids {
            let _ = network.ends[A].write(*id, &chunk, network.now);
        }
        if round == 200 {
            network.unread.clone_from(&ids);
        }
        network.run(Duration::from_millis(10));
    }
    network.transfer(A, 1024 * 1024, Duration::from_secs(5)).expect("a new stream gets through");
}

#[test]
fn too_many_streams_are_refused_here_before_they_are_there() {
    let mut network = Network::new(22, &[PathModel::new(100, 1)]);
    network.connect();
    let opened = (0..10_000).map_while(|_| network.ends[A].open_stream(network.now)).count();
    assert_eq!(opened, 1_024);
}

#[test]
fn resets_and_stops_are_told_to_the_other_end() {
    let mut network = Network::new(23, &[PathModel::new(100, 1)]);
    network.connect();
    let id = network.ends[A].open_stream(network.now).unwrap();
    network.ends[A].write(id, &[1; 100_000], network.now).unwrap();
    network.run(Duration::from_millis(5));
    network.ends[A].reset(id, 42);
    assert!(network.run_until(Duration::from_secs(1), |network| network.ended[B].contains_key(&id)));
    assert_eq!(network.ended[B][&id], Read::Reset(42));

    let id = network.ends[A].open_stream(network.now).unwrap();
    network.ends[A].write(id, &[1; 10], network.now).unwrap();
    network.run(Duration::from_millis(20));
    network.ends[B].stop(id, 43);
    network.run(Duration::from_millis(20));
    assert_eq!(network.ends[A].write(id, &[1; 10], network.now), Err(43));
}

#[test]
fn streams_that_were_released_leave_nothing_behind() {
    let mut network = Network::new(24, &[PathModel::new(100, 1)]);
    network.connect();
    for number in 0..3_000_u32 {
        let id = network.ends[A].open_stream(network.now).unwrap_or_else(|| panic!("stream {number}"));
        network.ends[A].write(id, &[1; 100], network.now).unwrap();
        network.ends[A].finish(id, network.now);
        if number % 3 == 0 {
            network.ends[A].release(id, 1);
        }
        network.run(Duration::from_millis(4));
        network.ends[B].release(id, 2);
        network.ends[A].release(id, 1);
        network.run(Duration::from_millis(4));
    }
    for end in &network.ends {
        assert!(end.report(network.now).streams < 8, "{:?}", end.report(network.now));
    }
}

#[test]
fn a_forgotten_tunnel_ends_and_a_false_hint_does_not_end_one() {
    let mut network = Network::new(25, &[PathModel::new(100, 1)]);
    network.connect();
    let id = network.ends[A].open_stream(network.now).unwrap();
    network.ends[A].write(id, b"hello", network.now).unwrap();
    network.run(Duration::from_millis(50));
    let hint = {
        let mut sealed = vec![1_u8];
        sealed.extend_from_slice(&25_u64.to_be_bytes());
        sealed.extend_from_slice(&[0; 40]);
        meshline_tunnel::unknown(&sealed).unwrap()
    };
    let arrival = meshline_tunnel::Arrival { from: crate::network::middle(1), is_private: false };
    network.ends[A].handle_packet(hint.as_ref().into(), arrival, network.now);
    network.run(Duration::from_secs(3));
    assert!(network.ends[A].is_up(), "somebody on the way made it up");

    network.model(1).is_black_hole = true;
    network.ends[A].handle_packet(hint.as_ref().into(), arrival, network.now);
    network.run(Duration::from_secs(3));
    assert!(network.ends[A].is_closed(), "nobody says otherwise");
    let is_told = |event: &Event| matches!(event, Event::Closed { code: Code::TunnelLost, .. });
    assert!(network.events[A].iter().any(is_told));
}

#[test]
fn garbage_never_panics() {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut network = Network::new(26, &[PathModel::new(100, 1)]);
        network.connect();
        // As the other end itself would: over a link that needs no seal.
        let arrival = meshline_tunnel::Arrival { from: crate::network::middle(1), is_private: true };
        for number in 0..20_u64 {
            let mut packet = vec![2_u8];
            packet.extend_from_slice(&26_u64.to_be_bytes());
            packet.push((rng.next_u32() % 18) as u8);
            packet.extend_from_slice(&number.to_be_bytes()[2..]);
            for _ in 0..rng.next_u32() % 6 {
                packet.push((rng.next_u32() % 12) as u8);
                let len = rng.next_u32() % 40;
                packet.extend((0..len).map(|_| if rng.next_u32() % 2 == 0 { 0 } else { rng.next_u32() as u8 }));
            }
            network.ends[A].handle_packet(packet.as_slice().into(), arrival, network.now);
            network.run(Duration::from_millis(1));
        }
    }
}

#[test]
fn without_a_path_nothing_is_due_at_once() {
    let mut network = Network::new(27, &[PathModel::new(100, 2)]);
    network.connect();
    let id = network.ends[A].open_stream(network.now).unwrap();
    network.ends[A].write(id, &[5; 400_000], network.now).unwrap();
    network.run(Duration::from_millis(9));
    network.tell_paths(&[]);
    for end in &mut network.ends {
        end.handle_timeout(network.now);
        while end.poll_transmit(network.now).is_some() {}
        let next = end.poll_timeout().unwrap();
        assert!(next > network.now.after(Duration::from_secs(1)), "due {next:?}, now {:?}", network.now);
    }
    network.tell_paths(&[1]);
    assert!(network.run_until(Duration::from_secs(2), |network| network.received[B][&id].len() == 400_000));
}

#[test]
fn a_flood_of_udp_leaves_streams_their_part() {
    let mut network = Network::new(28, &[PathModel::new(20, 2)]);
    network.connect();
    let id = network.ends[A].open_stream(network.now).unwrap();
    let chunk = vec![7; 256 * 1024];
    for _ in 0..200 {
        let _ = network.ends[A].write(id, &chunk, network.now);
        for _ in 0..60 {
            network.ends[A].send_flow(4, vec![1; 1_200].into(), network.now);
        }
        network.run(Duration::from_millis(10));
    }
    let got = network.received[B].get(&id).map_or(0, Vec::len);
    println!("{got} bytes of a stream in 2 s beside a flood");
    // All would be five million.
    assert!(got > 1_500_000, "{got}");
}

#[test]
fn hundreds_of_streams_that_nobody_reads_leave_a_way_for_the_others() {
    for seed in 40..44 {
        println!("seed {seed}");
        let mut network = Network::new(seed, &[PathModel::new(1_000, 2)]);
        network.connect();
        let old = network.ends[A].open_stream(network.now).unwrap();
        assert!(network.ends[A].write(old, &vec![5; 300_000], network.now).is_ok());
        network.run(Duration::from_millis(100));
        assert_eq!(network.received[B].get(&old).map(Vec::len), Some(300_000));
        // Some were read for a while, so that their windows have grown.
        let ids: Vec<_> = (0..300).map(|_| network.ends[A].open_stream(network.now).unwrap()).collect();
        let chunk = vec![3; 1024 * 1024];
        let mut written = vec![0; ids.len()];
        for round in 0..60 {
            if round == 20 {
                network.unread.clone_from(&ids);
            }
            let some = if round < 20 { 0..6 } else { 0..ids.len() };
            for (at, id) in ids.iter().enumerate().take(some.end) {
                written[at] += network.ends[A].write(*id, &chunk, network.now).unwrap();
            }
            network.run(Duration::from_millis(20));
        }
        network.transfer(A, 100_000, Duration::from_secs(5)).expect("a new stream gets through");
        assert!(network.ends[A].write(old, &vec![5; 2_000], network.now) == Ok(2_000));
        let is_there = |network: &mut Network| network.received[B][&old].len() == 302_000;
        assert!(network.run_until(Duration::from_secs(5), is_there), "one that was read before goes on");
        // Once they are read, nothing is missing.
        network.unread.clear();
        let is_all = |network: &mut Network| {
            let got = |id| network.received[B].get(id).map_or(0, Vec::len);
            ids.iter().zip(&written).all(|(id, written)| got(id) == *written)
        };
        assert!(network.run_until(Duration::from_secs(20), is_all), "what was written comes when it is read");
        network.transfer(A, 1024 * 1024, Duration::from_secs(5)).expect("and all is as before");
    }
}
