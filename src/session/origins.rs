//! A column of a governed view is told as the table's, so that drivers find its metadata.

use bytes::{BufMut, BytesMut};

use crate::catalog::Origins;

/// Writes the body of a RowDescription with the tables' columns in it; one that makes no sense is left as it is.
pub(super) fn translate(origins: &Origins, body: &[u8], out: &mut BytesMut) {
    let start = out.len();
    out.put_slice(body);
    let Some(mut rest) = out.get_mut(start + 2..) else { return };
    while let Some(end) = rest.iter().position(|b| *b == 0) {
        let Some((field, after)) = rest.get_mut(end + 1..).and_then(|field| field.split_at_mut_checked(FIELD)) else { return };
        if let [a, b, c, d, e, f, g, h, i, j, ..] = field {
            if let Some((table, column)) = origins.column(u32::from_be_bytes([*a, *b, *c, *d]), i16::from_be_bytes([*e, *f])) {
                ([*a, *b, *c, *d], [*e, *f]) = (table.to_be_bytes(), column.to_be_bytes());
            }
            if let Some(row) = origins.row_type(u32::from_be_bytes([*g, *h, *i, *j])) {
                [*g, *h, *i, *j] = row.to_be_bytes();
            }
        }
        rest = after;
    }
}

/// What follows a column's name: table, column, type, length, modifier, format.
const FIELD: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::fixture;

    fn described(table: u32, column: i16) -> BytesMut {
        typed(table, column, 0x0909_0909)
    }

    fn typed(table: u32, column: i16, of_type: u32) -> BytesMut {
        let mut body = BytesMut::new();
        body.put_u16(1);
        body.put_slice(b"ssn\0");
        body.put_u32(table);
        body.put_i16(column);
        body.put_u32(of_type);
        body.put_slice(&[9; 8]);
        body
    }

    #[test]
    fn a_column_of_a_governed_view_is_told_as_the_tables() {
        let footing = fixture::footing();
        let origins = footing.origins();
        for column in [3, 0] {
            let mut out = BytesMut::new();
            translate(origins, &described(901, column), &mut out);
            assert_eq!(out, described(fixture::EMPLOYEES, column));
        }
        let mut out = BytesMut::new();
        translate(origins, &typed(0, 0, 901 + 10_000), &mut out);
        assert_eq!(out, typed(0, 0, fixture::EMPLOYEES + 10_000), "the row as a whole");
        for untouched in [described(fixture::ORDERS, 1), BytesMut::from(&b"\0\x01cut"[..]), BytesMut::from(&b"\0"[..])] {
            let mut out = BytesMut::new();
            translate(origins, &untouched, &mut out);
            assert_eq!(out, untouched);
        }
    }
}
