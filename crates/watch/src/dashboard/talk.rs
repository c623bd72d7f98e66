//! The newest messages, in the order that all members show.

use crate::documents::{Delivered, Message};

/// Messages kept to be read again; `chat history` has all of them.
pub const MAX_MESSAGES: usize = 500;

/// Bytes of one message that are shown: a screen of text. All members together may write 8 MiB into what is kept, and
/// lines are broken anew for each drawing.
const MAX_SHOWN: usize = 4 * 1024;

/// Messages in the common order, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk {
    pub(crate) rows: Vec<Message>,
}

impl Talk {
    /// The newest as the member has them. What came meanwhile and is not among them stays.
    pub(crate) fn read(&mut self, page: Vec<Message>) {
        for message in page {
            self.insert(message);
        }
    }

    /// Takes a message, or what is new about one.
    pub(crate) fn insert(&mut self, mut message: Message) {
        shorten(&mut message.text);
        let place = |row: &Message| (row.clock, row.author.clone(), row.seq);
        match self.rows.binary_search_by_key(&place(&message), place) {
            Ok(at) => self.rows.get_mut(at).into_iter().for_each(|row| *row = message.clone()),
            Err(at) => self.rows.insert(at, message),
        }
        let surplus = self.rows.len().saturating_sub(MAX_MESSAGES);
        drop(self.rows.drain(..surplus));
    }

    pub(crate) fn deliver(&mut self, news: Delivered) {
        if let Some(row) = self.rows.iter_mut().rev().find(|row| row.cursor == news.cursor) {
            row.state = news.state;
            row.delivered_to = news.delivered_to;
            row.delivered_of = news.delivered_of;
        }
    }
}

fn shorten(text: &mut String) {
    if text.len() > MAX_SHOWN {
        let end = (0..=MAX_SHOWN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str(" … (`chat history` has the rest)");
    }
}

#[cfg(test)]
mod tests {
    use super::{Delivered, MAX_MESSAGES, MAX_SHOWN, Message, Talk};

    fn message(clock: u64, text: &str) -> Message {
        Message { clock, seq: clock, cursor: clock.to_string(), text: text.to_owned(), ..Message::default() }
    }

    #[test]
    fn of_a_long_message_the_beginning_is_shown() {
        let mut talk = Talk::default();
        talk.insert(message(1, &"x".repeat(MAX_SHOWN)));
        talk.insert(message(2, &format!("{}é", "x".repeat(MAX_SHOWN - 1))));
        assert_eq!(talk.rows[0].text.len(), MAX_SHOWN);
        assert!(talk.rows[1].text.ends_with("x … (`chat history` has the rest)"));
    }

    #[test]
    fn messages_stand_in_the_common_order_once_each_and_the_oldest_give_way() {
        let mut talk = Talk::default();
        for clock in [5, 3, 9, 3] {
            talk.insert(message(clock, "x"));
        }
        talk.read(vec![message(3, "again"), message(4, "late")]);
        let shown: Vec<_> = talk.rows.iter().map(|row| (row.clock, row.text.as_str())).collect();
        assert_eq!(shown, [(3, "again"), (4, "late"), (5, "x"), (9, "x")]);
        talk.deliver(Delivered { cursor: "5".to_owned(), state: "delivered".to_owned(), ..Delivered::default() });
        assert_eq!(talk.rows[2].state, "delivered");
        for clock in 10..10 + u64::try_from(MAX_MESSAGES).unwrap() {
            talk.insert(message(clock, "x"));
        }
        assert_eq!((talk.rows.len(), talk.rows[0].clock), (MAX_MESSAGES, 10));
    }
}
