//! The examples at the end of each command's help, with the name of the program that is asked.

use clap::Command;

/// What stands for the name of the program, and for a file of it.
const PROGRAM: &str = "PROGRAM";
const FILE: &str = "FILE";

/// Of the verbs that programs share, by their words.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "status",
        "  PROGRAM status --config FILE
  PROGRAM status --json --config FILE | jq '.links[] | {name, transport, rtt_us}'",
    ),
    (
        "peers",
        "  PROGRAM peers --config FILE
  PROGRAM peers --json --config FILE | jq -r '.peers[].name'",
    ),
    (
        "routes",
        "  PROGRAM routes --config FILE
  PROGRAM routes --json --config FILE | jq '.routes[] | select(.hops > 1)'",
    ),
    ("trace", "  PROGRAM trace donald --config FILE"),
    (
        "tap",
        "  PROGRAM tap --config FILE                                all frames, until Ctrl-C
  PROGRAM tap --type routing --peer donald --config FILE
  PROGRAM tap --count 20 --config FILE | jq -c .",
    ),
    (
        "explain",
        "  PROGRAM explain donald --config FILE
  PROGRAM explain ri3yowjq --json --config FILE            by the first letters of its id",
    ),
    ("forward list", "  PROGRAM forward list --config FILE"),
    ("forward remove", "  PROGRAM forward remove 2 --config FILE                   its number in `forward list`"),
    (
        "forward add",
        "  PROGRAM forward add tcp://127.0.0.1:8080 donald tcp://127.0.0.1:80 --config FILE
      donald's web server, here on port 8080
  PROGRAM forward add udp://127.0.0.1:5353 auto udp://10.0.0.1:53 --config FILE
      a name server, through whoever reaches it
  PROGRAM forward add tcp://127.0.0.1:2222 shell --config FILE
      the service `shell`, wherever it is exposed
  PROGRAM forward add --reverse tcp://127.0.0.1:9000 donald tcp://127.0.0.1:3000 --config FILE
      our port 3000, at donald on port 9000",
    ),
    (
        "connect",
        "  ssh -o ProxyCommand='PROGRAM connect donald 127.0.0.1:22 --config FILE' user@donald
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | PROGRAM connect donald 127.0.0.1:80 --config FILE
  PROGRAM connect shell --config FILE                      the service `shell`, wherever it is

Ends when both directions have. Exit 4 if the peer is not known or not reachable, 5 if it refuses, 1 if the connection \
         breaks.",
    ),
    ("tunnels", "  PROGRAM tunnels --config FILE"),
    (
        "services",
        "  PROGRAM services --config FILE
  PROGRAM services --kind _http._tcp --json --config FILE | jq -r '.services[].name'
  PROGRAM services --watch --config FILE",
    ),
    (
        "advertise",
        "  PROGRAM advertise --name web --kind _http._tcp --port 8000 --config FILE
  PROGRAM advertise --name plan --kind _http._tcp --port 8000 --check 5 --config FILE
  PROGRAM advertise --name safe --kind _ssh._tcp --target tcp://10.0.0.9:22 --allow bobby \\
      --text room=3 --config FILE

Others find it with `services` and reach it with `connect NAME` or `forward add … NAME`, wherever the two are. It is \
         withdrawn when the command ends.",
    ),
    (
        "read",
        "  PROGRAM read temp --config FILE                          the last reading
  PROGRAM read temp --follow --json --config FILE | jq .value
  PROGRAM read temp@attic --follow --every 10s --config FILE

Exit 4 if nobody publishes the topic, nobody who does is in reach, or it is not for this member: which of them \
         it is nobody is told.",
    ),
    (
        "wait",
        "  PROGRAM wait --config FILE                               until it is ready
  PROGRAM wait --for peers=4 --timeout 1m --config FILE
  PROGRAM wait --for path=donald:direct --config FILE",
    ),
    ("chat send", "  PROGRAM chat send 'hello there' --config FILE"),
    (
        "chat history",
        "  PROGRAM chat history --config FILE
  PROGRAM chat history --json --config FILE | jq -r '.messages[].text'",
    ),
    (
        "chat follow",
        "  PROGRAM chat follow --config FILE
  PROGRAM chat follow --json --config FILE | jq -r .text",
    ),
    (
        "join",
        "  PROGRAM join --config FILE --out request.json
  config-tool invite request.json --out membership.json    where network.key is
  PROGRAM apply membership.json --config FILE              here again",
    ),
    (
        "apply",
        "  PROGRAM apply membership.json --config FILE              one's own, from `config-tool invite`
  PROGRAM apply revocation.json --config FILE              on any member: it spreads
  PROGRAM apply rebuild.json --config FILE                 alike",
    ),
    ("page", "  PROGRAM page --config FILE                               open what it prints in a browser"),
    (
        "man",
        "  PROGRAM man | man -l -
  PROGRAM man --out /usr/local/share/man/man1",
    ),
    (
        "completions",
        "  PROGRAM completions bash > /etc/bash_completion.d/PROGRAM
  PROGRAM completions zsh > ~/.zfunc/_PROGRAM
  PROGRAM completions fish > ~/.config/fish/completions/PROGRAM.fish",
    ),
    (
        "wallet new",
        "  PROGRAM wallet new --config FILE                         asks for a passphrase
  MESHLINE_WALLET_PASSPHRASE=… PROGRAM wallet new --json --config FILE | jq -r .address",
    ),
    ("wallet list", "  PROGRAM wallet list --config FILE"),
    ("wallet balance", "  PROGRAM wallet balance ADDRESS --config FILE"),
    ("wallet send", "  PROGRAM wallet send --to ADDRESS --amount 1.5 --config FILE"),
    ("wallet history", "  PROGRAM wallet history --limit 20 --config FILE"),
    ("wallet restore", "  PROGRAM wallet restore --config FILE                     asks for the phrase"),
    (
        "ledger create",
        "  PROGRAM ledger create --config FILE                      its first coins to a new address here
  PROGRAM ledger create --preset test --chain-name lab --subsidy 50 --config FILE",
    ),
    (
        "ledger status",
        "  PROGRAM ledger status --config FILE
  PROGRAM ledger status --watch --config FILE              until all blocks are here",
    ),
    ("ledger blocks", "  PROGRAM ledger blocks --config FILE"),
    ("ledger verify", "  PROGRAM ledger verify --config FILE"),
    ("ledger verify-headers", "  PROGRAM ledger verify-headers headers.bin"),
    ("ledger reindex", "  PROGRAM ledger reindex --config FILE                     what `ledger verify` advises"),
    (
        "ledger mine",
        "  PROGRAM ledger mine on --to ADDRESS --config FILE
  PROGRAM ledger mine off --config FILE",
    ),
    (
        "node run",
        "  node run --config node-1.json
  node run --name bobby --listen 127.0.0.1:6001            no file: an open network on this host
  node run --config node-1.json --topic temp --every 5s --exec 'cat /run/temp'",
    ),
    (
        "view run",
        "  view run --config view.json
  view run --name eve --peers 127.0.0.1:6001               no file: an open network on this host
  view run --config view.json --topic temp --every 5s --exec 'cat /run/temp'",
    ),
    (
        "config-tool ring",
        "  config-tool ring --nodes 3 --dir ring
  config-tool ring --nodes 3 --topology ring --no-signal --dir three
  config-tool ring --nodes 3 --hosts 10.0.0.1,10.0.0.2,10.0.0.3 --dir net",
    ),
    ("config-tool network", "  config-tool network --out network.json                   and network.key beside it"),
    ("config-tool signal-server", "  config-tool signal-server --listen 0.0.0.0:6000 --out signal-server.json"),
    (
        "config-tool proxy",
        "  config-tool proxy --name relay --network-key network.key --listen 10.0.0.1:6100 --out proxy.json",
    ),
    (
        "config-tool node",
        "  config-tool node --name frank --network-key network.key --out frank.json
  config-tool node --name frank --network NETWORK --listen 10.0.0.4:6001 \\
      --signal http://10.0.0.1:6000 --out frank.json       then `node join --config frank.json`",
    ),
    (
        "config-tool view",
        "  config-tool view --name eve --network-key network.key --signal http://10.0.0.1:6000 --out eve.json",
    ),
    (
        "config-tool invite",
        "  config-tool invite request.json --network-key net/network.key --out membership.json
  node apply membership.json --config frank.json           on the host that asked",
    ),
    (
        "config-tool revoke",
        "  config-tool revoke frank --network-key net/network.key --out revocation.json
  node apply revocation.json --config net/node-1.json      on any member: it spreads",
    ),
    (
        "config-tool check",
        "  config-tool check ring/*.json
  config-tool check --role view anna.json",
    ),
    ("config-tool schema", "  config-tool schema node > node.schema.json"),
    (
        "config-tool show",
        "  config-tool show ring/node-1.json
  MESHLINE_LOG_LEVEL=debug config-tool show ring/node-1.json",
    ),
];

/// The command with examples at each verb that has some here.
pub(super) fn with_examples(command: Command) -> Command {
    let program = command.get_name().to_owned();
    command.mut_subcommands(|verb| below(verb, &program, ""))
}

fn below(command: Command, program: &str, outer: &str) -> Command {
    let words = format!("{outer} {}", command.get_name()).trim_start().to_owned();
    let own = format!("{program} {words}");
    let is_here = |(of, _): &&(&str, &str)| *of == own || (*of == words && program != "config-tool");
    let is_of_all = |(of, _): &&(&str, &str)| *of == words && ["man", "completions"].contains(of);
    let text = EXAMPLES.iter().find(is_here).or_else(|| EXAMPLES.iter().find(is_of_all));
    let command = match text {
        Some((_, text)) => command.after_help(format!("Examples:\n{}", filled(text, program))),
        None => command,
    };
    command.mut_subcommands(|verb| below(verb, program, &words))
}

fn filled(text: &str, program: &str) -> String {
    let file = if program == "node" { "node-1.json".to_owned() } else { format!("{program}.json") };
    text.replace(PROGRAM, program).replace(FILE, &file)
}

#[cfg(test)]
mod tests {
    use clap::Subcommand;

    use super::*;
    use crate::cli::{LedgerVerb, Verb, WalletVerb};

    /// As wide as help is.
    const COLUMNS: usize = 100;

    fn leaves<'a>(command: &'a Command, found: &mut Vec<&'a Command>) {
        if !command.has_subcommands() {
            found.push(command);
        }
        command.get_subcommands().for_each(|verb| leaves(verb, found));
    }

    /// A topic that is not for somebody is told apart from none nowhere: names say what a member runs.
    #[test]
    fn readers_are_promised_no_code_of_their_own_for_what_is_not_for_them() {
        let command = with_examples(Verb::augment_subcommands(Command::new("node")));
        let read = command.find_subcommand("read").and_then(Command::get_after_help).map(ToString::to_string);
        let read = read.expect("its examples");
        assert!(
            read.contains("Exit 4 if nobody publishes the topic") && read.contains("not for this member"),
            "{read}"
        );
        assert!(!read.contains("5 if"), "{read}");
    }

    #[test]
    fn every_verb_has_examples_that_can_be_copied() {
        for program in ["node", "view"] {
            let command = Verb::augment_subcommands(Command::new(program))
                .subcommand(LedgerVerb::augment_subcommands(Command::new("ledger")))
                .subcommand(WalletVerb::augment_subcommands(Command::new("wallet")));
            let command = with_examples(command);
            let mut found = Vec::new();
            leaves(&command, &mut found);
            assert!(found.len() > 25, "{} verbs", found.len());
            for verb in found {
                let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                let (examples, _) = text.split_once("\n\n").unwrap_or((&text, ""));
                assert!(
                    examples.starts_with("Examples:\n") && examples.contains(program),
                    "{}: {text}",
                    verb.get_name()
                );
                for line in examples.lines() {
                    assert!(line.chars().count() <= COLUMNS, "is broken in two: {line}");
                }
            }
        }
    }
}
