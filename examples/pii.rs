//! The library without the gateway: treats a JSON body as it streams, by three treatments, and reads the tokens back.
//!
//! ```sh
//! cargo run --example pii                    # treats the body below
//! cargo run --example pii -- customers.json  # treats a file of yours
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use vendorgate::pii::{
    FieldPath, MasterKeys, Plan, RecordBudgetSpent, RewriteObserver, Rule, Rules, TokenClass, Treatment, ValueLocation,
    VendorId, VendorKeys, VendorSalt,
};

const BODY: &[u8] = br#"{"customers": [
  {"id": 7, "email": "jane@example.com", "card": "4111 1111 1111 1111", "ssn": "123-45-6789"},
  {"id": 8, "email": "bob@example.com", "card": "5555 5555 5555 4444", "ssn": "987-65-4321"}
]}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let keys = keys()?;
    let mut input: Box<dyn Read> = match std::env::args_os().nth(1) {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(BODY),
    };
    let found = rewrite(&outward(&keys)?, &mut input, &mut io::stdout().lock())?;
    eprintln!("{} values treated in {} records", found.values, found.records);
    Ok(())
}

/// Keys for this run only. A program keeps them: `keys::KeyFileSource` loads master keys, `keys::SaltFolder` salts.
fn keys() -> Result<Arc<VendorKeys>, Box<dyn Error>> {
    let classes = [TokenClass::parse("email")?];
    let vendor = VendorId::parse("acme")?;
    Ok(Arc::new(MasterKeys::generate()?.vendor_keys(&vendor, &VendorSalt::generate()?, classes)))
}

/// What may leave to this vendor: a token for each e-mail address, the last four digits of a card, no SSN.
fn outward(keys: &Arc<VendorKeys>) -> Result<Plan, Box<dyn Error>> {
    let rule = |path, treatment| -> Result<Rule, Box<dyn Error>> {
        let location = ValueLocation::Field(FieldPath::parse(path)?);
        Ok(Rule { location, treatment, class: TokenClass::parse("email")?, only_type: None, category: None })
    };
    let rules = Rules {
        treat: vec![
            rule("$.customers[*].email", Treatment::Tokenize)?,
            rule("$..card", Treatment::Mask { keep_first: 0, keep_last: 4 })?,
            rule("$..ssn", Treatment::Drop)?,
        ],
        records: Some(FieldPath::parse("$.customers[*]")?),
        ..Rules::default()
    };
    Ok(Plan::compile(&rules, Arc::clone(keys))?)
}

/// Pushes the input through an engine in chunks, and writes what may leave as it comes.
fn rewrite(plan: &Plan, input: &mut dyn Read, output: &mut dyn Write) -> Result<Counts, Box<dyn Error>> {
    let mut body = plan.body_rewriter(Some("application/json"), None)?;
    let (mut chunk, mut out, mut counts) = (vec![0; 64 * 1024], Vec::new(), Counts::default());
    loop {
        let length = input.read(&mut chunk)?;
        let result = match length {
            0 => body.finish(&mut counts, &mut out),
            _ => body.feed(&chunk[..length], &mut counts, &mut out),
        };
        // What is in `out` may leave also when the body then ends with an error: it is cut off before the bad value.
        output.write_all(&out)?;
        out.clear();
        result?;
        if length == 0 {
            return Ok(counts);
        }
    }
}

/// Counts what the engine finds. An error from `on_record` would cut the body off before that record.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    records: u64,
    values: u64,
}

impl RewriteObserver for Counts {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        self.records += 1;
        Ok(())
    }

    fn on_treated(&mut self, _rule: usize) {
        self.values += 1;
    }

    fn on_subject(&mut self, _value: &[u8]) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_treatments_change_a_streaming_body_and_its_tokens_read_back() {
        let keys = keys().expect("keys");
        let (mut sent, mut back) = (Vec::new(), Vec::new());
        let counts = rewrite(&outward(&keys).expect("a plan"), &mut { BODY }, &mut sent).expect("JSON");
        assert_eq!(counts, Counts { records: 2, values: 6 });
        let text = String::from_utf8(sent.clone()).expect("text");
        assert_eq!(text.matches("tok1_").count(), 2);
        assert!(text.contains("***************1111") && !text.contains("ssn") && !text.contains("jane"), "{text}");

        let inward = Rules { reveal: vec![FieldPath::parse("$..email").expect("a path")], ..Rules::default() };
        let inward = Plan::compile(&inward, keys).expect("a plan");
        rewrite(&inward, &mut &sent[..], &mut back).expect("JSON");
        assert!(String::from_utf8(back).expect("text").contains("\"bob@example.com\""));
        assert_eq!(inward.reveal_counts().opened(), 2);
    }
}
