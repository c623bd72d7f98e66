//! A disk that is full, and a folder that cannot be written.

use meshline_lab::{Lab, Ring};

#[test]
fn a_node_whose_disk_is_full_goes_on_and_says_so() {
    let Some(lab) = Lab::new() else { return };
    let sites = [lab.site(), lab.site(), lab.site()];
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let data = ring.path().join("host-1/node-1.data");
    std::fs::create_dir(&data).expect("writable");
    sites[0].run(&format!("mount -t tmpfs -o size=8m tmpfs {}", data.display()));
    let mut nodes = ring.start(2);
    nodes[0].wait_until_linked_to(&["donald"]);
    // It fills the disk and fails: just that is wanted.
    let full = format!("dd if=/dev/zero of={}/rest bs=1k count=9000 2>/dev/null; true", data.display());
    let filled = sites[0].command("sh").args(["-c", &full]).status();
    assert!(filled.is_ok_and(|status| status.success()));
    let mark = nodes[0].process().mark();
    let mut late = ring.node(3);
    late.start();
    nodes[0].wait_until_linked_to(&["donald", "eddy"]);
    nodes[0].process().wait_after(mark, "No space left on device");
    let refused = nodes[0].ask(&["chat", "send", "not kept, so not sent"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("storage_failed"), "{refused:?}");
    nodes[1].chat_to("others are heard all the same", 2);
    nodes[0].wait_for("others are heard all the same");
    // With space again it keeps what it knows, without being told to.
    sites[0].run(&format!("rm {}/rest", data.display()));
    nodes[0].chat_to("kept and sent", 2);
    nodes.remove(1).process_mut().terminate();
    late.process_mut().terminate();
    nodes[0].process_mut().terminate();
    late.start();
    nodes[0].start();
    nodes[0].wait_until_linked_to(&["eddy"]);
}

#[test]
fn a_forward_that_cannot_be_kept_is_not_added() {
    let Some(lab) = Lab::new() else { return };
    let sites = [lab.site(), lab.site()];
    let ring = Ring::write_on(&sites, &sites[0], "--no-signal");
    let data = ring.path().join("host-1/node-1.data");
    std::fs::create_dir(&data).expect("writable");
    sites[0].run(&format!("mount -t tmpfs -o size=8m tmpfs {}", data.display()));
    let mut nodes = ring.start(2);
    nodes[0].wait_until_linked_to(&["donald"]);
    let full = format!("dd if=/dev/zero of={}/rest bs=1k count=9000 2>/dev/null; true", data.display());
    assert!(sites[0].command("sh").args(["-c", &full]).status().is_ok_and(|status| status.success()));
    let add = ["forward", "add", "tcp://127.0.0.1:4100", "donald", "tcp://127.0.0.1:80"];
    let refused = nodes[0].ask(&add);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("storage_failed"), "{refused:?}");
    let listed =
        |node: &meshline_lab::Member| node.json(&["forward", "list"])["forwards"].as_array().map_or(0, Vec::len);
    assert_eq!(listed(&nodes[0]), 0, "what a restart would forget does not listen");
    sites[0].run(&format!("rm {}/rest", data.display()));
    assert_eq!(nodes[0].ask(&add).code, Some(0));
    nodes[0].process_mut().kill();
    nodes[0].start();
    nodes[0].wait_until_linked_to(&["donald"]);
    assert_eq!(listed(&nodes[0]), 1, "it is kept, whatever ended the node");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_at_the_start() {
    let ring = Ring::write("--nodes 1 --no-signal");
    let mut node = ring.node(1);
    std::fs::write(ring.path().join("node-1.data"), "a file where the folder should be").expect("writable");
    node.start();
    assert_eq!(node.process_mut().wait(meshline_lab::PATIENCE), Some(1));
    node.wait_for("node-1.data");
}
