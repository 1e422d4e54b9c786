//! The engine without the gateway: treats standard input as it streams, into standard output; a summary goes to standard error.
//!
//! ```sh
//! export VENDORGATE_MASTER_KEY=$(openssl rand -base64 32)      # without it, keys last for this run only
//! echo '{"email": "jane@example.com", "card": "4111 1111 1111 1111"}' |
//!     cargo run --example treat_stream -- '$..email=tokenize' '$..card=mask' > treated.json
//! cargo run --example treat_stream -- '$..email=reveal' < treated.json
//! ```
//! A first argument such as `--content-type=application/x-www-form-urlencoded` reads another format than JSON.

use std::error::Error;
use std::io::{self, Read, Write};
use std::sync::Arc;

use vendorgate::model::{FieldPath, VendorId};
use vendorgate::pii::keys::{EnvironmentKeySource, KeyError, MasterKeySource};
use vendorgate::pii::{
    MasterKeys, Plan, RecordBudgetSpent, RewriteObserver, Rule, Rules, TokenClass, Treatment, ValueLocation, VendorSalt,
};

const CHUNK_BYTES: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let content_type = arguments.first().and_then(|first| first.strip_prefix("--content-type=")).map(str::to_owned);
    arguments.drain(..usize::from(content_type.is_some()));
    let rules = parse_rules(&arguments)?;

    // A gateway keeps one random salt a vendor; an example has one vendor, and a salt that anyone can read here.
    let vendor = VendorId::parse("example")?;
    let keys = master_keys()?.vendor_keys(
        &vendor,
        &VendorSalt::from_bytes(*b"a salt for this one example only"),
        rules.token_classes(),
    );
    let plan = Plan::compile(&rules, Arc::new(keys))?;

    let mut summary = Summary { treated: vec![0; plan.rules().len()] };
    treat(&plan, content_type.as_deref().unwrap_or("application/json"), &mut summary)?;
    for (rule, count) in plan.rules().iter().zip(&summary.treated) {
        eprintln!("{count:8} {} {}", rule.treatment.as_str(), rule.location);
    }
    eprintln!("{:8} tokens opened", plan.reveal_counts().opened());
    Ok(())
}

/// Pushes the input through an engine in chunks. On an error, what has left is a truncated document: never a raw value.
fn treat(plan: &Plan, content_type: &str, watch: &mut Summary) -> Result<(), Box<dyn Error>> {
    let mut engine = plan.body_rewriter(Some(content_type), None)?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let (mut chunk, mut out) = (vec![0; CHUNK_BYTES], Vec::new());
    loop {
        let length = input.read(&mut chunk)?;
        let fed =
            if length > 0 { engine.feed(&chunk[..length], watch, &mut out) } else { engine.finish(watch, &mut out) };
        output.write_all(&out)?;
        out.clear();
        fed?;
        if length == 0 {
            return Ok(output.flush()?);
        }
    }
}

/// Reads `PATH=TREATMENT`, where a treatment is tokenize, hash, mask, redact, drop or reveal.
fn parse_rules(arguments: &[String]) -> Result<Rules, Box<dyn Error>> {
    let mut rules = Rules::default();
    for argument in arguments {
        let (path, word) = argument.rsplit_once('=').ok_or("write PATH=TREATMENT, such as '$..email=tokenize'")?;
        let path = FieldPath::parse(path)?;
        let treatment = match word {
            "tokenize" => Treatment::Tokenize,
            "hash" => Treatment::Hash,
            "mask" => Treatment::Mask { keep_first: 0, keep_last: 4 },
            "redact" => Treatment::Redact,
            "drop" => Treatment::Drop,
            "reveal" => {
                rules.reveal.push(path);
                continue;
            }
            _ => return Err(format!("no treatment is called {word}").into()),
        };
        let class = TokenClass::from_name(path.last_name().unwrap_or_default());
        rules.treat.push(Rule { location: ValueLocation::Field(path), treatment, class, only_type: None });
    }
    Ok(rules)
}

fn master_keys() -> Result<MasterKeys, KeyError> {
    match EnvironmentKeySource::new("VENDORGATE_MASTER_KEY").load() {
        Err(KeyError::NoVariable(_)) => MasterKeys::generate(),
        loaded => loaded,
    }
}

/// Counts what the engine tells.
struct Summary {
    treated: Vec<u64>,
}

impl RewriteObserver for Summary {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, rule: usize) {
        self.treated[rule] += 1;
    }

    fn on_subject(&mut self, _value: &[u8]) {}
}
