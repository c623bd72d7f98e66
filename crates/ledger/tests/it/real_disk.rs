//! The store over real files that run out of room: a file system of some megabytes (ENOSPC) and a limit on the size of
//! files (EFBIG). A real disk cannot be told to answer EIO; that stays with the disks in memory of `redb_store`.
//!
//! Both faults are for a whole process, so each test starts this program again with one test of its own in it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use meshline_ledger::chain::Chain;
use meshline_ledger::consensus::Refusal;
use meshline_ledger::sighash::BatchVerifier;
use meshline_ledger::store::{RedbStore, StoreError};

use crate::support::{NOW, Owner, World, coins, genesis_of, output, params};

/// Says to the process inside where its small disk is.
const FOLDER: &str = "MESHLINE_SMALL_DISK";
/// What the process inside has to remove, or to raise, when the disk is full.
const BALLAST: &str = "ballast";

/// Starts this program again under `shell`, which ends in `exec "$0" "$@"`; whether it could.
fn inside(shell: &str, folder: &Path) -> Option<String> {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", shell]).arg(program);
    command.args(["--exact", "--ignored", "--nocapture", "real_disk::fills_a_small_disk"]).env(FOLDER, folder);
    let output = command.output().ok()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if told.contains("unshare:") || told.contains("mount:") || told.contains("prlimit: not found") {
        return None;
    }
    assert!(output.status.success(), "{told}");
    Some(told)
}

fn fills(shell: &str) {
    let folder = tempfile::tempdir().unwrap();
    match inside(shell, folder.path()) {
        Some(told) => assert!(told.contains("full once, and went on"), "{told}"),
        None => eprintln!("skipped: no namespaces for users, or no prlimit, on this machine"),
    }
}

#[test]
fn a_file_system_without_space_is_called_full_and_the_chain_goes_on_when_there_is_some() {
    // The ballast leaves less than the chain needs.
    fills(&format!(
        "mount -t tmpfs -o size=9m none \"${FOLDER}\"; dd if=/dev/zero of=\"${FOLDER}/{BALLAST}\" bs=1M count=6 \
         2>/dev/null; exec \"$0\" \"$@\""
    ));
}

#[test]
fn a_limit_on_the_size_of_files_is_called_full_and_the_chain_goes_on_when_it_is_raised() {
    // Without the trap the signal that comes with the limit would end the process.
    fills("trap '' XFSZ; prlimit --pid $$ --fsize=3145728:unlimited; exec \"$0\" \"$@\"");
}

/// Takes blocks until there is no room, makes room, and goes on. Nothing that was acknowledged is lost on the way.
#[test]
#[ignore = "started by the tests above, on a small disk"]
fn fills_a_small_disk() {
    let folder = std::env::var_os(FOLDER).expect("started by another test");
    let folder = Path::new(&folder);
    let genesis = genesis_of(params(), &Owner::new(0));
    let path = folder.join("chain.redb");
    let mut chain = Chain::open(&genesis, RedbStore::open(&path).unwrap()).unwrap();
    let (mut world, mut was_full) = (World::new(), false);
    for number in 0..40 {
        // 3,400 outputs and their place in the owner index: about a megabyte.
        let at = (0..=world.chain.height()).rev().find_map(|height| spendable(&world, height));
        let payment = world.pay(&Owner::new(0), &[at.unwrap()], vec![output(coins(0), &Owner::new(number)); 3_400]);
        let block = world.extend(&Owner::new(0), vec![payment]);
        let before = chain.tip();
        match chain.accept_block(&block, NOW, &BatchVerifier) {
            Ok(_) => {}
            Err(Refusal::Store(StoreError::Full)) => {
                was_full = true;
                let again = chain.accept_block(&block, NOW, &BatchVerifier);
                assert_eq!(again, Err(Refusal::Store(StoreError::Full)), "still full");
                drop(chain);
                make_room(folder);
                chain = Chain::open(&genesis, RedbStore::open(&path).unwrap()).unwrap();
                assert_eq!(chain.tip(), before, "what was acknowledged is there");
                chain.accept_block(&block, NOW, &BatchVerifier).unwrap();
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(chain.tip(), block.hash());
        if was_full {
            break;
        }
    }
    assert!(was_full, "the disk was large enough for everything");
    assert_eq!(chain.verify(&BatchVerifier, |_| {}), Ok(world.chain.set_hash().unwrap()));
    println!("full once, and went on");
    std::io::stdout().flush().unwrap();
}

/// The coinbase of a block, if it was not spent.
fn spendable(world: &World, height: u32) -> Option<meshline_ledger::OutPoint> {
    let block = world.chain.block(&world.chain.hash_at(height)?).unwrap()?;
    let at = meshline_ledger::OutPoint { txid: block.transactions[0].txid(), index: 0 };
    world.chain.coin(&at).unwrap().map(|_| at)
}

fn make_room(folder: &Path) {
    let ballast = folder.join(BALLAST);
    if ballast.exists() {
        std::fs::remove_file(ballast).unwrap();
    } else {
        let own = std::process::id().to_string();
        let raised = Command::new("prlimit").args(["--pid", &own, "--fsize=unlimited"]).status().unwrap();
        assert!(raised.success());
    }
}
