//! Trees of PostgreSQL's grammar taken as values: are two equal, how deep is one.
//!
//! In: [`Node`]s. Out: an encoding that is equal exactly when two trees are, places in the text aside. Every field of every
//! node takes part by construction: the walk is driven by the tree's own `Serialize`.

use pg_query::Node;
use serde::Serialize;
use serde::ser::{Impossible, SerializeSeq, SerializeStruct, Serializer};

/// Fields that say where in the text something stood, and nothing else. They count as places only where they are integers:
/// the `location` of CREATE TABLESPACE is a text.
pub(in crate::sql) const PLACES: &[&str] = &[
    "location",
    "stmt_location",
    "stmt_len",
    "list_start",
    "list_end",
    "name_location",
    "arg_location",
    "rexpr_list_start",
    "rexpr_list_end",
    "payload_location",
    "conninfo_location",
];

/// A tree as bytes, places left out: self-delimiting, so equal bytes mean equal trees.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sql) struct Encoded(Vec<u8>);

impl Encoded {
    /// The bytes of a tree.
    pub(in crate::sql) fn of(node: &Node) -> Self {
        let mut walk = Walk::new(Sink::Write(Vec::with_capacity(1024)));
        // Writing to memory stops for nothing.
        let _ = node.serialize(&mut walk);
        match walk.sink {
            Sink::Write(bytes) => Self(bytes),
            Sink::Compare(_) | Sink::Measure(_) => Self(Vec::new()),
        }
    }

    /// Whether a tree is equal to the one that they are of.
    pub(in crate::sql) fn is_of(&self, node: &Node) -> bool {
        let mut walk = Walk::new(Sink::Compare(&self.0));
        node.serialize(&mut walk).is_ok() && matches!(walk.sink, Sink::Compare([]))
    }
}

/// Whether two trees are equal, places aside.
pub(in crate::sql) fn equal(left: &Node, right: &Node) -> bool {
    Encoded::of(left).is_of(right)
}

/// Whether messages nest at most this deep.
pub(in crate::sql) fn depth_within(node: &Node, limit: usize) -> bool {
    node.serialize(&mut Walk::new(Sink::Measure(limit))).is_ok()
}

enum Sink<'a> {
    Write(Vec<u8>),
    /// What must still come.
    Compare(&'a [u8]),
    /// The deepest nesting that is allowed.
    Measure(usize),
}

struct Walk<'a> {
    sink: Sink<'a>,
    depth: usize,
    place: bool,
}

impl<'a> Walk<'a> {
    fn new(sink: Sink<'a>) -> Self {
        Self { sink, depth: 0, place: false }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match &mut self.sink {
            Sink::Write(written) => written.extend_from_slice(bytes),
            Sink::Compare(rest) => *rest = rest.strip_prefix(bytes).ok_or(Stop)?,
            Sink::Measure(_) => {}
        }
        Ok(())
    }

    fn length(&mut self, length: usize) -> Result<(), Stop> {
        self.put(&(length as u64).to_le_bytes())
    }
}

/// The walk ends: trees differ, a tree is too deep, or it holds what no tree of the grammar holds.
#[derive(Debug)]
struct Stop;

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stop {}

impl serde::ser::Error for Stop {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! numbers {
    ($($method:ident $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<(), Stop> {
            self.put(&value.to_le_bytes())
        })*
    };
}

impl<'w, 'a> Serializer for &'w mut Walk<'a> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Self;
    type SerializeTuple = Impossible<(), Stop>;
    type SerializeTupleStruct = Impossible<(), Stop>;
    type SerializeTupleVariant = Impossible<(), Stop>;
    type SerializeMap = Impossible<(), Stop>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Stop>;

    numbers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i64 i64, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_f32 f32, serialize_f64 f64
    }

    fn serialize_bool(self, value: bool) -> Result<(), Stop> {
        self.put(&[u8::from(value)])
    }

    fn serialize_i32(self, value: i32) -> Result<(), Stop> {
        if self.place { Ok(()) } else { self.put(&value.to_le_bytes()) }
    }

    fn serialize_char(self, value: char) -> Result<(), Stop> {
        self.serialize_u32(u32::from(value))
    }

    fn serialize_str(self, value: &str) -> Result<(), Stop> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Stop> {
        self.length(value.len())?;
        self.put(value)
    }

    fn serialize_none(self) -> Result<(), Stop> {
        self.put(&[0])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        self.place = false;
        self.put(&[1])?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Stop> {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.put(&index.to_le_bytes())?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Stop> {
        self.place = false;
        self.length(length.ok_or(Stop)?)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Stop> {
        Err(Stop)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Stop> {
        Err(Stop)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Stop> {
        Err(Stop)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Stop> {
        Err(Stop)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Stop> {
        self.place = false;
        self.depth += 1;
        match self.sink {
            Sink::Measure(limit) if self.depth > limit => Err(Stop),
            Sink::Measure(_) | Sink::Write(_) | Sink::Compare(_) => Ok(self),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Stop> {
        Err(Stop)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

impl SerializeSeq for &mut Walk<'_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Stop> {
        Ok(())
    }
}

impl SerializeStruct for &mut Walk<'_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Stop> {
        self.place = PLACES.contains(&key);
        let done = value.serialize(&mut **self);
        self.place = false;
        done
    }

    fn end(self) -> Result<(), Stop> {
        self.depth -= 1;
        Ok(())
    }
}
