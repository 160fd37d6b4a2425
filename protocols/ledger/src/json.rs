//! Just enough of JSON (RFC 8259) to tell whether a text is it, and what its outermost object says. Numbers are not
//! read as numbers: there are no floats in the ledger.

/// Objects and arrays in one another.
const DEPTH: usize = 32;

/// One entry of the outermost object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// As it is written, between its quotes.
    pub name: &'a str,
    pub value: Value<'a>,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Between its quotes.
    Text(&'a str),
    Number(&'a str),
    /// An object, an array, true, false or null.
    Other,
}

/// The entries of the object that `text` is; none if it is no object, or no JSON.
pub fn object(text: &str) -> Option<Vec<Entry<'_>>> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let entries = reader.object(DEPTH)?;
    reader.space();
    (reader.at == text.len()).then_some(entries)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn object(&mut self, depth: usize) -> Option<Vec<Entry<'a>>> {
        let depth = depth.checked_sub(1)?;
        let mut entries = Vec::new();
        self.take(b'{')?;
        self.space();
        if self.take(b'}').is_some() {
            return Some(entries);
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(b':')?;
            entries.push(Entry { name, value: self.value(depth)? });
            self.space();
            if self.take(b'}').is_some() {
                return Some(entries);
            }
            self.take(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.take(b'[')?;
        self.space();
        if self.take(b']').is_some() {
            return Some(());
        }
        loop {
            self.value(depth)?;
            self.space();
            if self.take(b']').is_some() {
                return Some(());
            }
            self.take(b',')?;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.space();
        match self.peek()? {
            b'"' => self.string().map(Value::Text),
            b'{' => self.object(depth).map(|_| Value::Other),
            b'[' => self.array(depth).map(|()| Value::Other),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            _ => ["true", "false", "null"].into_iter().find_map(|word| self.word(word)).map(|()| Value::Other),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let begin = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return self.text.get(begin..self.at - 1);
                }
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        let length = match rest.first()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 1,
            b'u' => rest.get(1..5)?.iter().all(u8::is_ascii_hexdigit).then_some(5)?,
            _ => return None,
        };
        self.at += 1 + length;
        Some(())
    }

    fn number(&mut self) -> Option<&'a str> {
        let begin = self.at;
        self.take(b'-').unwrap_or_default();
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            self.take(b'+').or_else(|| self.take(b'-')).unwrap_or_default();
            self.digits()?;
        }
        self.text.get(begin..self.at)
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_read() {
        let text = r#" { "a" : "b\"c" , "n":-1.5e+3, "o":{"x":[1,{},[],null]}, "t":true } "#;
        let entry = |name, value| Entry { name, value };
        let entries = vec![
            entry("a", Value::Text(r#"b\"c"#)),
            entry("n", Value::Number("-1.5e+3")),
            entry("o", Value::Other),
            entry("t", Value::Other),
        ];
        assert_eq!(object(text), Some(entries));
        assert_eq!(object("{}"), Some(vec![]));
    }

    #[test]
    fn what_is_no_object_is_not_read() {
        for text in [
            "",
            "1",
            "[]",
            "{",
            "{}x",
            "{} {}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":+1}",
            "{\"a\":tru}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":\"",
            "{\"a\":[1,]}",
            "{\"a\":NaN}",
        ] {
            assert_eq!(object(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(object(&nested(DEPTH - 1)).is_some());
        assert!(object(&nested(DEPTH)).is_none());
        assert!(object(&nested(1_000_000)).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[ -~äß{}\\[\\]\",:\\\\]{0,60}") {
            if object(&text).is_some() {
                let braces = text.trim_start().starts_with('{') && text.trim_end().ends_with('}');
                prop_assert!(braces, "{text}");
            }
        }
    }
}
