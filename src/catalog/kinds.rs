//! Kinds of types.

/// What kind of type it is (`pg_type.typtype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TypeKind {
    /// `b`
    Base,
    /// `c`
    Composite,
    /// `d`
    Domain,
    /// `e`
    Enum,
    /// `r`, `m`
    Range,
    /// `p`
    Pseudo,
}

impl TypeKind {
    /// From `pg_type.typtype`.
    pub fn from_code(code: char) -> Option<Self> {
        Some(match code {
            'b' => Self::Base,
            'c' => Self::Composite,
            'd' => Self::Domain,
            'e' => Self::Enum,
            'r' | 'm' => Self::Range,
            'p' => Self::Pseudo,
            _ => return None,
        })
    }
}
