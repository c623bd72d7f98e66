//! What the tests build on: owners with keys, payments, blocks with trivial work, and a chain of them.

use ed25519_zebra::{SigningKey, VerificationKey};
use meshline_ledger::chain::{Accepted, Chain};
use meshline_ledger::consensus::{AddressPrefix, BLOCK_VERSION, Difficulty, Header, Policy, Refusal, Rule, meets};
use meshline_ledger::sighash::{BatchVerifier, sighash};
use meshline_ledger::store::{MemoryStore, Store};
use meshline_ledger::{
    Amount, Block, BlockHash, Coin, CompactBits, Genesis, Lock, OutPoint, Params, Transaction, TxIn, TxOut,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// When the genesis block was made; tests are at most some days later.
pub(crate) const START: u32 = 1_700_000_000;
/// The time that blocks are judged by.
pub(crate) const NOW: u64 = START as u64 + 10_000_000;
/// Four hashes a block.
pub(crate) const EASY: CompactBits = CompactBits(0x203f_ffff);

/// Somebody with a key.
#[derive(Clone, Copy)]
pub(crate) struct Owner(SigningKey);

impl Owner {
    pub(crate) fn new(number: u64) -> Self {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self(SigningKey::from(seed))
    }

    pub(crate) fn key(&self) -> [u8; 32] {
        VerificationKey::from(&self.0).into()
    }

    pub(crate) fn lock(&self) -> Lock {
        Lock::to_key(&self.key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).into()
    }
}

/// The random source of a test; what fails names the seed.
pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    usize::try_from(rng.next_u64() % limit as u64).unwrap()
}

pub(crate) fn coins(count: u64) -> Amount {
    Amount::from_coins(count).unwrap()
}

pub(crate) fn units(count: u64) -> Amount {
    Amount::from_units(count).unwrap()
}

pub(crate) fn output(amount: Amount, to: &Owner) -> TxOut {
    TxOut { amount, lock: to.lock() }
}

pub(crate) fn params() -> Params {
    Params {
        difficulty: Difficulty::Fixed,
        bits: EASY,
        subsidy: coins(50),
        halving_interval: 0,
        maturity: 1,
        max_block_size: 1_000_000,
        max_signatures: 7_500,
        prefix: AddressPrefix::MESH,
    }
}

pub(crate) fn genesis_of(params: Params, owner: &Owner) -> Genesis {
    let mut block = Genesis::unmined(&params, START, owner.lock(), Some("test")).unwrap();
    mine(&mut block.header);
    let policy = Policy { least_fee_rate: 0, mine_empty: true, template_from: 0 };
    Genesis { name: "test".to_owned(), params, policy, block }
}

/// Searches a nonce.
pub(crate) fn mine(header: &mut Header) {
    let target = header.bits.target().unwrap();
    while !meets(&header.hash(), target) {
        header.nonce += 1;
    }
}

/// A chain in memory, its genesis block owned by owner 0.
pub(crate) struct World<S = MemoryStore> {
    pub(crate) genesis: Genesis,
    pub(crate) chain: Chain<S>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(params())
    }

    pub(crate) fn with(params: Params) -> Self {
        Self::over(params, MemoryStore::default())
    }
}

impl<S: Store> World<S> {
    pub(crate) fn over(params: Params, store: S) -> Self {
        let genesis = genesis_of(params, &Owner::new(0));
        let chain = Chain::open(&genesis, store).unwrap();
        Self { genesis, chain }
    }

    /// The output that the genesis block made.
    pub(crate) fn first_coin(&self) -> OutPoint {
        OutPoint { txid: self.genesis.block.transactions[0].txid(), index: 0 }
    }

    /// A signed payment of whole outputs of `from`.
    pub(crate) fn pay(&self, from: &Owner, inputs: &[OutPoint], outputs: Vec<TxOut>) -> Transaction {
        let spent: Vec<Coin> = inputs.iter().map(|at| self.chain.coin(at).unwrap().expect("unspent")).collect();
        self.pay_coins(from, inputs, &spent, outputs)
    }

    pub(crate) fn pay_coins(
        &self,
        from: &Owner,
        inputs: &[OutPoint],
        spent: &[Coin],
        outputs: Vec<TxOut>,
    ) -> Transaction {
        let spent: Vec<TxOut> = spent.iter().map(|coin| coin.output).collect();
        let inputs =
            inputs.iter().map(|at| TxIn::Spend { outpoint: *at, key: from.key(), signature: [0; 64] }).collect();
        let mut transaction = Transaction { version: 1, inputs, outputs, lock_time: 0 };
        sign(&mut transaction, from, self.chain.id(), &spent);
        transaction
    }

    /// The next block with these payments, paying its miner the subsidy.
    pub(crate) fn block(&self, miner: &Owner, payments: Vec<Transaction>) -> Block {
        self.block_after(self.chain.tip(), miner, payments)
    }

    /// A block after any known one, a second later than that.
    pub(crate) fn block_after(&self, parent: BlockHash, miner: &Owner, payments: Vec<Transaction>) -> Block {
        let (above, height) = self.chain.header(&parent).expect("known");
        let subsidy = self.genesis.params.subsidy_at(height + 1);
        let coinbase = coinbase(height + 1, vec![output(subsidy, miner)]);
        let mut transactions = vec![coinbase];
        transactions.extend(payments);
        let header = Header {
            version: BLOCK_VERSION,
            previous: parent,
            merkle_root: [0; 32],
            time: above.time + 1,
            bits: self.genesis.params.bits,
            nonce: 0,
        };
        let mut block = Block { header, transactions };
        seal(&mut block);
        block
    }

    pub(crate) fn accept(&mut self, block: &Block) -> Result<Accepted, Rule> {
        self.chain.accept_block(block, NOW, &BatchVerifier).map_err(rule_of)
    }

    /// Adds a block that is to become the tip.
    pub(crate) fn extend(&mut self, miner: &Owner, payments: Vec<Transaction>) -> Block {
        let block = self.block(miner, payments);
        self.accept(&block).expect("a valid block");
        assert_eq!(self.chain.tip(), block.hash());
        block
    }
}

pub(crate) fn rule_of(refusal: Refusal) -> Rule {
    match refusal {
        Refusal::Rule(rule) => rule,
        Refusal::Store(error) => panic!("the store failed: {error}"),
    }
}

pub(crate) fn coinbase(height: u32, outputs: Vec<TxOut>) -> Transaction {
    Transaction { version: 1, inputs: vec![TxIn::Coinbase { height, extra: Vec::new() }], outputs, lock_time: 0 }
}

/// Signs all inputs with one key.
pub(crate) fn sign(transaction: &mut Transaction, owner: &Owner, chain: BlockHash, spent: &[TxOut]) {
    let message = sighash(chain, transaction, spent);
    for input in &mut transaction.inputs {
        if let TxIn::Spend { signature, .. } = input {
            *signature = owner.sign(&message);
        }
    }
}

/// Puts the merkle root right and searches a nonce.
pub(crate) fn seal(block: &mut Block) {
    block.header.merkle_root = block.merkle_root();
    mine(&mut block.header);
}
