//! `config-tool check`, `schema` and `show`.

use serde_json::Value;

use super::{Lab, stderr, stdout};

#[track_caller]
fn faults(text: &str, name: &str) -> String {
    let lab = Lab::new();
    lab.write(name, text);
    let output = lab.run(&format!("check {name}"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    stderr(&output).trim_end().to_owned()
}

#[test]
fn every_kind_of_fault_has_its_line_column_and_pointer() {
    for (text, expected) in [
        ("{\n  \"name\": ,\n}", "node.json:2:11: not JSON: found ',': expected value"),
        (
            "{\"name\": \"a\", \"network\": \"lab\",\n \"lisen\": []}",
            "node.json:2:2: /lisen: found the unknown key \"lisen\"; did you mean \"listen\"?",
        ),
        (
            "{\"name\": \"a\", \"network\": \"lab\",\n \"listen\": 6001}",
            "node.json:2:12: /listen: found 6001, expected a list",
        ),
        (
            "{\"name\": \"a\", \"network\": \"lab\",\n \"topology\": \"rign\"}",
            "node.json:2:14: /topology: found \"rign\", expected \"mesh\" or \"ring\"; did you mean \"ring\"?",
        ),
        (
            "{\"name\": \"a\", \"network\": \"lab\", \"name\": \"b\"}",
            "node.json:1:33: /name: found this key a second time, expected it once",
        ),
        (
            "{\"name\": \"a\", \"network\": \"lab\", \"ledger\": \"b\"}",
            "node.json:1:43: /ledger: found \"b\", expected an object",
        ),
    ] {
        assert_eq!(faults(text, "node.json"), expected);
    }
}

#[test]
fn all_faults_of_all_files_are_told_and_good_files_said_to_be_good() {
    let lab = Lab::new();
    lab.write("node.json", "{\"name\": \"a\", \"network\": \"lab\", \"x\": 1, \"retries\": \"y\"}");
    lab.write("signal-server.json", "{}");
    lab.write("view.json", "{}");
    let output = lab.run("check node.json signal-server.json view.json missing.json");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "OK signal-server.json (signal-server)\n");
    let said = stderr(&output);
    assert_eq!(said.matches("node.json:1:").count(), 2, "{said}");
    assert_eq!(said.matches("view.json:1:1: /").count(), 2, "{said}");
    assert!(said.contains("missing.json: cannot read"), "{said}");
}

#[test]
fn json_output_holds_one_row_a_file() {
    let lab = Lab::new();
    lab.write("node.json", "{\"name\": 1, \"network\": \"lab\"}");
    lab.write("proxy.json", "{\"name\": \"p\", \"network\": \"lab\", \"listen\": [\"127.0.0.1:1\"]}");
    let output = lab.run("check --json node.json proxy.json");
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_str(&stdout(&output)).expect("one JSON object");
    assert_eq!(report["schema"], "meshline/check/1");
    assert_eq!(report["ok"], false);
    assert_eq!(report["files"][0]["findings"][0]["pointer"], "/name");
    assert_eq!(report["files"][0]["findings"][0]["place"]["file"]["column"], 10);
    assert_eq!(report["files"][1]["ok"], true);
    assert_eq!(report["files"][1]["kind"], "proxy");
}

#[test]
fn a_role_can_be_told() {
    let lab = Lab::new();
    lab.write("x.json", "{}");
    lab.done("check --role signal-server x.json");
    lab.refused("check --role view x.json", 2);
    let message = lab.refused("check --role nod x.json", 2);
    assert!(message.contains("node, view, proxy, signal-server"), "{message}");
}

#[test]
fn a_forged_or_foreign_membership_is_found() {
    let lab = Lab::new();
    lab.done("ring --nodes 2");
    assert!(lab.done("check ring/node-1.membership.json").contains("(membership)"));
    let good = lab.read("ring/node-1.membership.json");
    lab.write("forged.json", &good.replace("bobby", "eve"));
    assert!(lab.refused("check forged.json", 2).contains("forged.json:1:11: /signed: the signature does not fit"));
    let others = lab.read("ring/node-2.membership.json");
    lab.write("ring/node-1.membership.json", &others);
    let message = lab.refused("check ring/node-1.json", 2);
    assert!(message.contains("ring/node-1.json:5:17: /membership: found the membership of"), "{message}");
    assert!(message.contains("/name: found \"bobby\", expected the name in the membership, \"donald\""), "{message}");
}

#[test]
fn the_environment_of_whoever_checks_does_not_count() {
    let lab = Lab::new();
    lab.write("node.json", "{\"name\": \"a\", \"network\": \"lab\"}");
    let output = lab.command("check node.json").env("MESHLINE_RETRIES", "x").output();
    assert!(output.expect("it starts").status.success());
}

#[test]
fn a_schema_describes_every_role() {
    let lab = Lab::new();
    for role in ["node", "view", "proxy", "signal-server"] {
        let schema: Value = serde_json::from_str(&lab.done(&format!("schema {role}"))).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["type"], "object");
        assert!(schema["properties"]["log"].is_object());
        let wrapped: Value = serde_json::from_str(&lab.done(&format!("schema {role} --json"))).expect("JSON");
        assert_eq!(wrapped["schema"], "meshline/schema/1");
        assert_eq!(wrapped["document"], schema);
    }
    lab.refused("schema nobody", 2);
}

#[test]
fn show_says_where_each_value_came_from() {
    let lab = Lab::new();
    lab.write("node.json", "{\"name\": \"a\",\n \"network\": \"lab\"}");
    let output = lab.command("show node.json").env("MESHLINE_RETRIES", "3").output().expect("it starts");
    let text = stdout(&output);
    let row = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).expect("a row");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("/network"), ["/network", "\"lab\"", "file", "2:13"]);
    assert_eq!(row("/retries"), ["/retries", "3", "MESHLINE_RETRIES"]);
    assert_eq!(row("/max_links"), ["/max_links", "64", "default"]);
    let json: Value = serde_json::from_str(&lab.done("show --json node.json")).expect("JSON");
    assert_eq!(json["schema"], "meshline/show/1");
    assert!(json["values"].as_array().expect("rows").iter().any(|row| row["key"] == "/log/level"));
}

#[test]
fn show_of_a_wrong_file_tells_the_faults() {
    let lab = Lab::new();
    lab.write("node.json", "{\"name\": 5, \"network\": \"lab\"}");
    assert_eq!(
        lab.refused("show node.json", 2).trim_end(),
        "node.json:1:10: /name: found 5, expected a text in quotes"
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let lab = Lab::new();
    let tool = env!("CARGO_BIN_EXE_config-tool");
    let line = format!("set -o pipefail; {tool} schema node | true");
    let status = std::process::Command::new("bash").args(["-c", &line]).current_dir(lab.path("")).status();
    assert!(status.expect("it starts").success());
}

#[test]
fn files_are_known_by_what_is_in_them_whatever_they_are_called() {
    let lab = Lab::new();
    lab.run("network --out network.json");
    for kind in ["node", "view", "proxy"] {
        lab.run(&format!("{kind} --name {kind} --network-key network.key --out its-{kind}.json"));
        lab.run(&format!("{kind} --name {kind} --network lab --out open-{kind}.json"));
    }
    lab.run("signal-server --out list.json");
    let output = lab.run("check its-node.json its-view.json its-proxy.json open-node.json open-view.json list.json");
    let wanted = [
        "OK its-node.json (node)",
        "OK its-view.json (view)",
        "OK its-proxy.json (proxy)",
        "OK open-node.json (node)",
        "OK open-view.json (view)",
        "OK list.json (signal-server)",
    ];
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), wanted, "{}", stderr(&output));
}
