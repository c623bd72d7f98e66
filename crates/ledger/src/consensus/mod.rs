//! The rules of the ledger. All of them are functions of what they judge; a broken one has a name ([`Rule`]).

mod block;
mod compact;
mod connect;
mod difficulty;
mod genesis;
mod header;
mod params;
mod prefix;
mod rule;
mod verify_headers;

pub use block::{Block, Checked, MAX_BLOCK_TRANSACTIONS, check_block, check_transaction};
pub use compact::{BadBits, CompactBits, meets, work};
pub use connect::{BlockContext, Coin, CoinView, Connected, Refusal, Sums, TxContext, check_inputs, connect};
pub use difficulty::{Difficulty, Parent, Schedule, asert, next_bits, retarget};
pub use genesis::{
    BLOCK_VERSION, DifficultyInFile, FirstBlock, GENESIS_SCHEMA, Genesis, GenesisError, GenesisFile, MAX_GENESIS_FILE,
    MAX_GENESIS_MESSAGE, Policy, Preset,
};
pub use header::{Header, MerkleRoot, MerkleTree, merkle_branch, merkle_root, root_of_branch};
pub use params::{Params, ParamsError};
pub use prefix::{AddressPrefix, MAX_ADDRESS_PREFIX, NotAPrefix};
pub use rule::Rule;
pub use verify_headers::{Fault, HeadersReport, verify_headers};
