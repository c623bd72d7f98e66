//! A second process with the configuration of one that runs.

use meshline_lab::{PATIENCE, Ring};

#[test]
fn the_second_process_of_a_configuration_refuses_and_the_first_goes_on() {
    let ring = Ring::write("--nodes 2 --no-signal");
    let nodes = ring.start(2);
    nodes[0].wait_until_linked_to(&["donald"]);
    let mut second = ring.node(1);
    second.start();
    assert_eq!(second.process_mut().wait(PATIENCE), Some(1));
    second.wait_for("node-1.data: another process runs with this data folder");
    // Nor with a folder of its own: the address is taken.
    let elsewhere = ring.path().join("elsewhere");
    second.start_with(&["--data-dir", &elsewhere.to_string_lossy(), "--http", "127.0.0.1:0"]);
    assert_eq!(second.process_mut().wait(PATIENCE), Some(1));
    second.wait_for(&format!("127.0.0.1:{}", ring.port(1)));
    assert_eq!(nodes[0].linked(), ["donald"]);
    nodes[0].chat_to("still the first", 1);
}

#[test]
fn a_second_signal_server_names_the_address_that_is_taken() {
    let ring = Ring::write("--nodes 1");
    let _first = ring.start_signal();
    let config = ring.path().join("signal-server.json");
    let mut command = meshline_lab::Site::here().command(meshline_lab::program("signal-server"));
    command.arg("--config").arg(config);
    let answer = meshline_lab::Answer::of(command);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.stderr.contains(&format!("127.0.0.1:{}", ring.port(1) + 40)), "{answer:?}");
}
