//! The output of the demo: steps, calls, answers and checks, each written as it happens.
//!
//! Colour only on a terminal that wants it, lines of at most 100 columns. Counts the checks and remembers those that
//! failed.

use std::fmt::Display;
use std::io::{self, Write};

use http::StatusCode;

/// Widest line, in columns.
const COLUMNS: usize = 100;
/// Columns for the name of a field.
const NAME_COLUMN: usize = 24;
/// Columns for the value of a field: the rest of the line beside its name and treatment.
const VALUE_COLUMNS: usize = 54;

/// Writes the story.
pub(super) struct DemoPage<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    step: u32,
    checks: u32,
    failures: Vec<String>,
    /// The first failure to write, reported at the end.
    write_error: Option<io::Error>,
}

/// The colour of a line, by its number in ECMA-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Plain = 0,
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
    Cyan = 36,
}

impl<'a> DemoPage<'a> {
    pub(super) fn new(out: &'a mut dyn Write, colour: bool) -> Self {
        Self { out, colour, step: 0, checks: 0, failures: Vec::new(), write_error: None }
    }

    /// Writes a line in one colour.
    pub(super) fn line(&mut self, ink: Colour, text: impl Display) {
        let line = self.coloured(ink, &text.to_string());
        self.write(&line);
    }

    pub(super) fn gap(&mut self) {
        self.write("");
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) {
        self.step += 1;
        let head = format!("{}  {title} ", self.step);
        let rule = "─".repeat(COLUMNS.saturating_sub(head.chars().count()));
        let line = format!("{}{}", self.coloured(Colour::Bold, &head), self.coloured(Colour::Dim, &rule));
        self.gap();
        self.write(&line);
    }

    /// Writes a call: what is asked, and who asks.
    pub(super) fn call(&mut self, what: &str, who: &str) {
        let room = COLUMNS.saturating_sub(who.chars().count() + 7);
        let (arrow, what, who) =
            (self.coloured(Colour::Cyan, "→"), ellipsized(what, room), self.coloured(Colour::Dim, who));
        let line = format!("   {arrow} {what:<room$} {who}");
        self.write(&line);
    }

    /// Writes an answer: green where the call was let through, yellow where it was refused.
    pub(super) fn answer(&mut self, status: StatusCode, summary: &str) {
        let ink = if status.is_success() { Colour::Green } else { Colour::Yellow };
        let line = format!("   {} {}  {summary}", self.coloured(ink, "←"), self.coloured(ink, status.as_str()));
        self.write(&line);
    }

    /// Writes a remark.
    pub(super) fn remark(&mut self, text: impl Display) {
        self.line(Colour::Dim, format_args!("     {text}"));
    }

    /// Writes a field that left as it was.
    pub(super) fn same(&mut self, name: &str, value: &str) {
        let value = ellipsized(value, VALUE_COLUMNS);
        self.line(Colour::Dim, format_args!("       {name:<NAME_COLUMN$}{value}"));
    }

    /// Writes a value that stayed inside, with its treatment.
    pub(super) fn minus(&mut self, name: &str, value: &str, treatment: &str) {
        let value = padded(&ellipsized(value, VALUE_COLUMNS), VALUE_COLUMNS);
        let line = self.coloured(Colour::Red, &format!("     - {name:<NAME_COLUMN$}{value}"));
        let label = self.coloured(Colour::Dim, treatment);
        self.write(format!("{line} {label}").trim_end());
    }

    /// Writes the value that left in its place.
    pub(super) fn plus(&mut self, name: &str, value: &str) {
        let value = ellipsized(value, VALUE_COLUMNS);
        self.line(Colour::Green, format_args!("     + {name:<NAME_COLUMN$}{value}"));
    }

    /// Writes whether a claim of the story holds; `got` is what was found instead.
    pub(super) fn check(&mut self, claim: &str, holds: bool, got: impl Display) {
        self.checks += 1;
        if holds {
            let mark = self.coloured(Colour::Green, "✓");
            return self.write(&format!("   {mark} {claim}"));
        }
        let mark = self.coloured(Colour::Red, "✗");
        self.write(&format!("   {mark} {claim}: {got}"));
        self.failures.push(format!("step {}: {claim}: {got}", self.step));
    }

    /// Writes that a step could not be played to its end.
    pub(super) fn step_failed(&mut self, error: &dyn std::error::Error) {
        self.check("the step was played to its end", false, crate::model::with_causes(error));
    }

    /// Writes the result, and returns whether every check held.
    pub(super) fn finish(&mut self, took: std::time::Duration) -> bool {
        self.gap();
        let failures = std::mem::take(&mut self.failures);
        let figures = format!("{} steps, {} checks, {:.1} s", self.step, self.checks, took.as_secs_f64());
        if failures.is_empty() {
            self.line(Colour::Green, format!("All went as told: {figures}."));
            return true;
        }
        self.line(Colour::Red, format!("{} of it did not go as told: {figures}.", failures.len()));
        for what in &failures {
            self.line(Colour::Red, format!("  ✗ {what}"));
        }
        false
    }

    /// The first failure to write, if there was one.
    pub(super) fn written(self) -> io::Result<()> {
        self.write_error.map_or(Ok(()), Err)
    }

    pub(super) fn coloured(&self, ink: Colour, text: &str) -> String {
        if self.colour && ink != Colour::Plain { format!("\x1b[{}m{text}\x1b[0m", ink as u8) } else { text.to_owned() }
    }

    fn write(&mut self, line: &str) {
        let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        if let Err(error) = written {
            self.write_error.get_or_insert(error);
        }
    }
}

/// Cuts the middle out of a text that is too wide.
fn ellipsized(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut head, mut used) = (String::new(), 0);
    let tail: String = text.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
    let room = columns.saturating_sub(width(&tail) + 1);
    for symbol in text.chars() {
        used += columns_of(symbol);
        if used > room {
            break;
        }
        head.push(symbol);
    }
    format!("{head}…{tail}")
}

fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// How many columns a symbol takes on a terminal: two for East Asian letters, none for marks that combine with a
/// letter.
fn columns_of(symbol: char) -> usize {
    match symbol {
        '\u{300}'..='\u{36f}' | '\u{900}'..='\u{902}' | '\u{93c}' | '\u{941}'..='\u{948}' | '\u{94d}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}' => 2,
        '\u{ff00}'..='\u{ff60}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(colour: bool, write: impl FnOnce(&mut DemoPage<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut DemoPage::new(&mut out, colour));
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn failed_checks_are_listed_at_the_end() {
        let text = page(false, |page| {
            page.step("One");
            page.check("two is two", true, 2);
            assert!(page.finish(std::time::Duration::ZERO));
            page.check("two is three", false, 2);
            assert!(!page.finish(std::time::Duration::ZERO));
        });
        assert!(text.contains("✓ two is two\n") && text.ends_with("✗ step 1: two is three: 2\n"), "{text}");
    }

    #[test]
    fn colour_comes_only_where_it_is_wanted() {
        let write = |page: &mut DemoPage<'_>| {
            page.minus("name", "Zoë", "hash");
            page.answer(StatusCode::FORBIDDEN, "no");
        };
        assert!(page(true, write).contains("\x1b[31m"));
        assert!(!page(false, write).contains('\x1b'));
    }

    #[test]
    fn no_line_is_too_wide_and_wide_letters_count_twice() {
        let long = "渡".repeat(90);
        let text = page(false, |page| {
            page.step("A title");
            page.minus("cards[0].number", &long, "encrypt_format");
            page.plus("name", &"x".repeat(300));
            page.call(&"y".repeat(300), "acme-batch");
        });
        assert!(text.lines().all(|line| width(line) <= COLUMNS), "{text}");
        assert_eq!((width("प्रिया"), width("渡辺 健太"), ellipsized("abc", 3)), (5, 9, "abc".to_owned()));
    }
}
