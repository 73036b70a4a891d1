//! Who may act for whom, and what a session is.

use serde::Deserialize;

use super::{Ground, OPERATOR, Rows, fetch, moment};
use crate::authn::{READING_SCOPE, SQL_SCOPE};
use crate::error::GovernError;
use crate::governance::Member;
use crate::upstream::OwnerChannel;

/// Lets actors act for people, or no more. Sessions that rest on it end when it is taken away.
pub(super) async fn set(
    ground: &Ground<'_>,
    channel: &mut dyn OwnerChannel,
    people: &[Member],
    actors: &[String],
    granted: bool,
) -> Result<(), GovernError> {
    ground.admin("let principals act for others")?;
    for person in people {
        let person = ground.member(person)?.id.0;
        for actor in actors {
            let actor = ground.principal(actor)?.id.0;
            let sql = if granted {
                format!(
                    "INSERT INTO pgusher.acting (actor, person, granted_by) VALUES ({actor}, {person}, {}) ON CONFLICT DO NOTHING",
                    ground.author()
                )
            } else {
                format!("DELETE FROM pgusher.acting WHERE actor = {actor} AND person = {person}")
            };
            channel.execute(&sql).await?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct ActingRow {
    actor: String,
    person: String,
    granted_by: Option<String>,
    granted_at: String,
}

/// Everybody hears who may act for oneself; administrators, of all others too.
pub(super) async fn show(ground: &Ground<'_>, channel: &mut dyn OwnerChannel, person: Option<&str>) -> Result<Rows, GovernError> {
    let condition = match person {
        Some(name) if *name == *ground.subject.name => format!("a.person = ANY (pgusher.ids_of({}))", ground.subject.principal.0),
        Some(name) => {
            ground.admin("see who may act for others")?;
            format!("a.person = ANY (pgusher.ids_of({}))", ground.principal(name)?.id.0)
        }
        None if ground.subject.admin => "true".to_owned(),
        None => format!("a.person = ANY (pgusher.ids_of({}))", ground.subject.principal.0),
    };
    let sql = format!(
        "SELECT r.name AS actor, p.name AS person, g.name AS granted_by, {} AS granted_at FROM pgusher.acting AS a \
         JOIN pgusher.principal AS r ON r.id = a.actor JOIN pgusher.principal AS p ON p.id = a.person \
         LEFT JOIN pgusher.principal AS g ON g.id = a.granted_by WHERE {condition} ORDER BY r.name, p.name",
        moment("a.granted_at")
    );
    let rows: Vec<ActingRow> = fetch(channel, &sql).await?;
    let row = |row: ActingRow| vec![Some(row.actor), Some(row.person), row.granted_by, Some(row.granted_at)];
    Ok(rows.into_iter().map(row).collect())
}

#[derive(Deserialize)]
struct SessionRow {
    principal: String,
    actors: String,
    token: String,
    scopes: String,
    groups: String,
    admin: bool,
    started_at: String,
    expires_at: Option<String>,
}

/// What the session that asks is.
pub(super) async fn session(ground: &Ground<'_>, channel: &mut dyn OwnerChannel) -> Result<Rows, GovernError> {
    if ground.subject.principal == OPERATOR {
        return Err(GovernError::Unsupported { what: "SHOW SESSION is for sessions, and this is none".to_owned(), hint: None });
    }
    let acting = if ground.subject.bearing.reading { READING_SCOPE } else { SQL_SCOPE };
    let sql = format!(
        "SELECT s.name AS principal, (SELECT coalesce(pg_catalog.string_agg( \
           CASE WHEN a.name ~ '[,\"[:space:]]' THEN pg_catalog.quote_ident(a.name) ELSE a.name END, ', ' ORDER BY a.place), '') \
           FROM pg_catalog.unnest(s.actors) WITH ORDINALITY AS a(name, place)) AS actors, s.token, \
         CASE WHEN s.actor IS NULL THEN pg_catalog.array_to_string(t.scopes, ', ') ELSE '{acting}' END AS scopes, \
         pg_catalog.array_to_string(s.groups, ', ') AS groups, s.admin, {} AS started_at, \
         CASE WHEN s.expires_at < 'infinity' THEN {} END AS expires_at \
         FROM pgusher.session AS s JOIN pgusher.token AS t ON t.id = s.token \
         WHERE s.sid = (SELECT pg_catalog.currval('pgusher.slot'::pg_catalog.regclass))",
        moment("s.started_at"),
        moment("s.expires_at")
    );
    let rows: Vec<SessionRow> = fetch(channel, &sql).await?;
    let row = |row: SessionRow| {
        let [principal, actors, token, scopes, groups, started] =
            [row.principal, row.actors, row.token, row.scopes, row.groups, row.started_at].map(Some);
        vec![principal, actors, token, scopes, groups, Some(row.admin.to_string()), started, row.expires_at, Some(POOL.to_owned())]
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Every session has an upstream connection to itself, from its login to its end.
const POOL: &str = "session";
