//! The operations and fragments of a GraphQL document (GraphQL October 2021, section 2).
//!
//! Keeps what decides the names in an answer (fields, aliases, fragments), and the names of arguments that have
//! literal values. A directive other than `@include` and `@skip` may change an answer in a way that only its server
//! knows, so it is an error. Never reads more tokens, and never goes deeper, than its bounds.

use std::collections::HashMap;

use super::QueryFault;
use super::lexer::{GraphqlLexer, GraphqlToken, GraphqlTokenKind};
use crate::bounds::{DOCUMENT_DEPTH_MAX, GRAPHQL_NODES_MAX};

/// A document that can be executed.
#[derive(Debug, Default)]
pub(super) struct GraphqlDocument<'a> {
    pub(super) operations: Vec<Vec<Selection<'a>>>,
    pub(super) fragments: HashMap<&'a str, Vec<Selection<'a>>>,
    /// The name of each argument, input field or variable that has a literal text or number as its value, and where
    /// in the document.
    pub(super) literals: Vec<(&'a str, usize)>,
}

/// One item of a selection set.
#[derive(Debug)]
pub(super) enum Selection<'a> {
    Field { alias: Option<&'a str>, name: &'a str, at: usize, below: Vec<Self> },
    Spread { fragment: &'a str, at: usize },
    Inline(Vec<Self>),
}

/// Reads a document.
///
/// # Errors
/// When the text is no document, or has something in it that cannot be judged.
pub(super) fn parse(text: &str) -> Result<GraphqlDocument<'_>, QueryFault> {
    let mut lexer = GraphqlLexer::new(text);
    let token = lexer.next()?;
    let mut parser = GraphqlParser { lexer, token, left: GRAPHQL_NODES_MAX, document: GraphqlDocument::default() };
    while parser.token.kind != GraphqlTokenKind::End {
        parser.definition()?;
    }
    if parser.document.operations.is_empty() {
        return Err(parser.fault("asks for nothing"));
    }
    Ok(parser.document)
}

struct GraphqlParser<'a> {
    lexer: GraphqlLexer<'a>,
    token: GraphqlToken<'a>,
    /// How many more tokens may come.
    left: usize,
    document: GraphqlDocument<'a>,
}

impl<'a> GraphqlParser<'a> {
    fn definition(&mut self) -> Result<(), QueryFault> {
        match (self.token.kind, self.token.text) {
            (GraphqlTokenKind::Sign(b'{'), _) => {}
            (GraphqlTokenKind::Name, "query" | "mutation" | "subscription") => {
                self.step()?;
                if self.token.kind == GraphqlTokenKind::Name {
                    self.step()?;
                }
                self.variables()?;
                self.directives()?;
            }
            (GraphqlTokenKind::Name, "fragment") => return self.fragment(),
            _ => return Err(self.fault("has a definition that is no operation and no fragment")),
        }
        let selections = self.selections(0)?;
        self.document.operations.push(selections);
        Ok(())
    }

    fn fragment(&mut self) -> Result<(), QueryFault> {
        self.step()?;
        let name = self.name()?;
        if name == "on" || self.token.text != "on" {
            return Err(self.fault("has a fragment without a type"));
        }
        self.step()?;
        self.name()?;
        self.directives()?;
        let selections = self.selections(0)?;
        match self.document.fragments.insert(name, selections) {
            None => Ok(()),
            Some(_) => Err(self.fault("has two fragments of one name")),
        }
    }

    fn selections(&mut self, depth: usize) -> Result<Vec<Selection<'a>>, QueryFault> {
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(self.fault("is deeper than its bound"));
        }
        self.sign(b'{')?;
        let mut selections = Vec::new();
        while !self.take(b'}')? {
            selections.push(self.selection(depth)?);
        }
        if selections.is_empty() { Err(self.fault("has an empty selection")) } else { Ok(selections) }
    }

    fn selection(&mut self, depth: usize) -> Result<Selection<'a>, QueryFault> {
        let at = self.token.at;
        if self.token.kind != GraphqlTokenKind::Spread {
            return self.field(depth, at);
        }
        self.step()?;
        if self.token.kind == GraphqlTokenKind::Name && self.token.text != "on" {
            let fragment = self.name()?;
            self.directives()?;
            return Ok(Selection::Spread { fragment, at });
        }
        if self.token.kind == GraphqlTokenKind::Name {
            self.step()?;
            self.name()?;
        }
        self.directives()?;
        Ok(Selection::Inline(self.selections(depth + 1)?))
    }

    fn field(&mut self, depth: usize, at: usize) -> Result<Selection<'a>, QueryFault> {
        let first = self.name()?;
        let (alias, name) = if self.take(b':')? { (Some(first), self.name()?) } else { (None, first) };
        self.arguments(depth)?;
        self.directives()?;
        let below =
            if self.token.kind == GraphqlTokenKind::Sign(b'{') { self.selections(depth + 1)? } else { Vec::new() };
        Ok(Selection::Field { alias, name, at, below })
    }

    fn arguments(&mut self, depth: usize) -> Result<(), QueryFault> {
        if !self.take(b'(')? {
            return Ok(());
        }
        loop {
            self.argument(depth, b':')?;
            if self.take(b')')? {
                return Ok(());
            }
        }
    }

    /// `name: value`
    fn argument(&mut self, depth: usize, sign: u8) -> Result<(), QueryFault> {
        let name = self.name()?;
        self.sign(sign)?;
        self.value(name, depth)
    }

    /// Reads the value of the argument, input field or variable with this name.
    fn value(&mut self, name: &'a str, depth: usize) -> Result<(), QueryFault> {
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(self.fault("is deeper than its bound"));
        }
        match self.token.kind {
            GraphqlTokenKind::Text | GraphqlTokenKind::Number => {
                self.document.literals.push((name, self.token.at));
                self.step()
            }
            GraphqlTokenKind::Name => self.step(),
            GraphqlTokenKind::Sign(b'$') => {
                self.step()?;
                self.name().map(drop)
            }
            GraphqlTokenKind::Sign(b'[') => {
                self.step()?;
                while !self.take(b']')? {
                    self.value(name, depth + 1)?;
                }
                Ok(())
            }
            GraphqlTokenKind::Sign(b'{') => {
                self.step()?;
                let before = self.document.literals.len();
                while !self.take(b'}')? {
                    self.argument(depth + 1, b':')?;
                }
                // A literal in an object counts as one of the object's own name too.
                if let Some(&(_, at)) = self.document.literals.get(before) {
                    self.document.literals.push((name, at));
                }
                Ok(())
            }
            GraphqlTokenKind::Sign(_) | GraphqlTokenKind::Spread | GraphqlTokenKind::End => {
                Err(self.fault("has no value where one should be"))
            }
        }
    }

    fn variables(&mut self) -> Result<(), QueryFault> {
        if !self.take(b'(')? {
            return Ok(());
        }
        loop {
            self.sign(b'$')?;
            let name = self.name()?;
            self.sign(b':')?;
            self.of_type(0)?;
            if self.take(b'=')? {
                self.value(name, 0)?;
            }
            self.directives()?;
            if self.take(b')')? {
                return Ok(());
            }
        }
    }

    fn of_type(&mut self, depth: usize) -> Result<(), QueryFault> {
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(self.fault("is deeper than its bound"));
        }
        if self.take(b'[')? {
            self.of_type(depth + 1)?;
            self.sign(b']')?;
        } else {
            self.name()?;
        }
        self.take(b'!').map(drop)
    }

    fn directives(&mut self) -> Result<(), QueryFault> {
        while self.take(b'@')? {
            if !matches!(self.token.text, "include" | "skip") {
                return Err(self.fault("has a directive other than @include and @skip, which may change the answer"));
            }
            self.step()?;
            self.arguments(0)?;
        }
        Ok(())
    }

    fn name(&mut self) -> Result<&'a str, QueryFault> {
        let GraphqlToken { kind: GraphqlTokenKind::Name, text, .. } = self.token else {
            return Err(self.fault("has no name where one should be"));
        };
        self.step()?;
        Ok(text)
    }

    fn sign(&mut self, sign: u8) -> Result<(), QueryFault> {
        if self.take(sign)? { Ok(()) } else { Err(self.fault("is not GraphQL")) }
    }

    /// Steps over this sign; returns false when the token is another one.
    fn take(&mut self, sign: u8) -> Result<bool, QueryFault> {
        let is = self.token.kind == GraphqlTokenKind::Sign(sign);
        if is {
            self.step()?;
        }
        Ok(is)
    }

    fn step(&mut self) -> Result<(), QueryFault> {
        self.left = self.left.checked_sub(1).ok_or_else(|| self.fault("is longer than its bound"))?;
        self.token = self.lexer.next()?;
        Ok(())
    }

    const fn fault(&self, what: &'static str) -> QueryFault {
        QueryFault { what, at: self.token.at }
    }
}
