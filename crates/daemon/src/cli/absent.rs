//! What a program was built without: a view for small devices lacks much.

use clap::Args;

use crate::exit::Stop;

/// Stands in for the words of a command that is not there.
#[derive(Debug, Args)]
pub struct Absent {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

impl Absent {
    /// Refuses the command of this name, which comes with a feature.
    ///
    /// # Errors
    /// Always, as wrong usage.
    pub fn refuse(&self, command: &str, feature: &str) -> anyhow::Result<()> {
        let verb = self.words.first().filter(|word| !word.starts_with('-'));
        let command = verb.map_or_else(|| command.to_owned(), |verb| format!("{command} {verb}"));
        Err(Stop::usage(absent(&format!("`{command}`"), feature)).into())
    }
}

/// What is missing, and how one comes by it.
#[must_use]
pub fn absent(what: &str, feature: &str) -> String {
    format!(
        "{what} is not in this program, which was built without `{feature}`; `cargo build --release -p view` makes one \
         with everything, `cargo thing --features {feature}` one with this"
    )
}

#[cfg(test)]
mod tests {
    use super::Absent;

    #[test]
    fn a_command_that_is_not_there_is_refused_by_its_name_and_says_what_to_build() {
        let told = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            Absent { words }.refuse("wallet", "ledger").expect_err("refused").to_string()
        };
        let text = told(&["new", "--json"]);
        assert!(
            text.starts_with("`wallet new` is not in this program") && text.contains("--features ledger"),
            "{text}"
        );
        assert!(told(&["--json"]).starts_with("`wallet` is not"));
    }
}
