//! Answers of the engine, in the four shapes that our commands answer with.

/// An answer of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineValue {
    /// There is nothing.
    Nil,
    /// A whole number.
    Integer(i64),
    /// A text or bytes.
    Bytes(Vec<u8>),
    /// A list of answers.
    List(Vec<EngineValue>),
}

impl EngineValue {
    /// The number, also one that is written as a text.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bytes(_) => self.as_text()?.parse().ok(),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The number, where it is none below zero.
    pub fn as_count(&self) -> Option<u64> {
        u64::try_from(self.as_integer()?).ok()
    }

    /// The bytes, where it is a text or bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nil | Self::Integer(_) | Self::List(_) => None,
        }
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The answers in a list; none where it is no list.
    pub fn as_list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Nil | Self::Integer(_) | Self::Bytes(_) => &[],
        }
    }

    /// The names and values of a list in which they alternate, as a hash is answered.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &Self)> {
        self.as_list().chunks_exact(2).filter_map(|pair| Some((pair[0].as_bytes()?, &pair[1])))
    }
}

impl From<redis::Value> for EngineValue {
    fn from(value: redis::Value) -> Self {
        use redis::Value;
        match value {
            Value::Int(number) => Self::Integer(number),
            Value::BulkString(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) => Self::Bytes(text.into_bytes()),
            Value::Okay => Self::Bytes(b"OK".to_vec()),
            Value::Array(items) | Value::Set(items) => Self::List(items.into_iter().map(Into::into).collect()),
            Value::Map(pairs) => {
                Self::List(pairs.into_iter().flat_map(|(name, value)| [name.into(), value.into()]).collect())
            }
            // We speak RESP2, which has no other shapes.
            _ => Self::Nil,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_in_pairs_and_a_torn_one_up_to_its_end() {
        let bytes = |text: &str| EngineValue::Bytes(text.into());
        let torn = EngineValue::List(vec![bytes("a"), bytes("7"), bytes("b"), EngineValue::Nil, bytes("c")]);
        let read: Vec<_> = torn.pairs().map(|(name, value)| (name.to_vec(), value.as_integer())).collect();
        assert_eq!(read, [(b"a".to_vec(), Some(7)), (b"b".to_vec(), None)]);
        assert!(EngineValue::Nil.pairs().next().is_none());
    }
}
