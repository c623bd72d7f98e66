//! Reading `{"len":N,"tag":{…}}` in one pass, from JSON and BSON alike.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};

/// The members of a frame: the optional `len` first, then exactly one message.
#[derive(Debug)]
pub(crate) struct Header<M> {
    pub(crate) len: Option<u32>,
    pub(crate) message: M,
}

impl<'de, M: Deserialize<'de>> Deserialize<'de> for Header<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor(PhantomData))
    }
}

struct HeaderVisitor<M>(PhantomData<M>);

impl<'de, M: Deserialize<'de>> Visitor<'de> for HeaderVisitor<M> {
    type Value = Header<M>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with one message, and `len` before it if bytes follow")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header<M>, A::Error> {
        let mut tag: String = map.next_key()?.ok_or_else(|| A::Error::custom("no message"))?;
        let mut len = None;
        if tag == "len" {
            len = Some(map.next_value::<u32>()?);
            tag = map.next_key()?.ok_or_else(|| A::Error::custom("no message after `len`"))?;
        }
        let message = M::deserialize(Tagged { tag, map: &mut map })?;
        match map.next_key::<IgnoredAny>()? {
            None => Ok(Header { len, message }),
            Some(_) => Err(A::Error::custom("more than one message")),
        }
    }
}

/// A map whose first key is already read, seen as the externally tagged enum it holds.
struct Tagged<'a, A> {
    tag: String,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Tagged<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'a, 'de, A: MapAccess<'de>> EnumAccess<'de> for Tagged<'a, A> {
    type Error = A::Error;
    type Variant = Content<'a, A>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Content<'a, A>), A::Error> {
        let tag: StringDeserializer<A::Error> = self.tag.into_deserializer();
        Ok((seed.deserialize(tag)?, Content(self.map)))
    }
}

/// What stands behind the tag: always one value, because every message is an object (or, for a relay
/// ticket, a string).
struct Content<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Content<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(A::Error::invalid_type(Unexpected::UnitVariant, &"a message with content"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::TupleVariant, &"an object"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::invalid_type(Unexpected::StructVariant, &"an object"))
    }
}

/// The outline of a frame that could not be read as a message: its tag and, if the content is an object,
/// the first tag inside. Everything else is passed over, its syntax checked.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) tag: String,
    pub(crate) inner: Option<String>,
}

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OutlineVisitor;

        impl<'de> Visitor<'de> for OutlineVisitor {
            type Value = Outline;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a message")
            }

            fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Outline, A::Error> {
                let (tag, content) = data.variant::<String>()?;
                let FirstKey(inner) = content.newtype_variant()?;
                Ok(Outline { tag, inner })
            }
        }

        deserializer.deserialize_enum("Outline", &[], OutlineVisitor)
    }
}

/// The first key of an object; anything but an object has none.
struct FirstKey(Option<String>);

impl<'de> Deserialize<'de> for FirstKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstKeyVisitor)
    }
}

struct FirstKeyVisitor;

macro_rules! no_key {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: Error>(self, _: $type) -> Result<FirstKey, E> { Ok(FirstKey(None)) })*
    };
}

impl<'de> Visitor<'de> for FirstKeyVisitor {
    type Value = FirstKey;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    no_key! { visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str, visit_bytes: &[u8] }

    fn visit_unit<E: Error>(self) -> Result<FirstKey, E> {
        Ok(FirstKey(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FirstKey, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FirstKey(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FirstKey, A::Error> {
        let first = map.next_key::<String>()?;
        if first.is_some() {
            map.next_value::<IgnoredAny>()?;
            IgnoredAny::deserialize(MapAccessDeserializer::new(map))?;
        }
        Ok(FirstKey(first))
    }
}
