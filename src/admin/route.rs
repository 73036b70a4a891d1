//! Method and path → which call it is.

use axum::http::Method;

use super::fault::{Dialect, Fault};
use super::groups::GroupCall;
use super::scim::{self, ScimCall, ScimKind};
use super::tokens::TokenCall;
use crate::policy::PrincipalId;

/// Which call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Groups 2.0.
    Groups(GroupCall),
    /// Token 2.0 and token management.
    Tokens(TokenCall),
    /// SCIM.
    Scim(ScimCall),
}

impl Route {
    /// Whose JSON its errors are.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Route::Groups(_) | Route::Tokens(_) => Dialect::Databricks,
            Route::Scim(_) => Dialect::Scim,
        }
    }

    /// Finds it.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, (Dialect, Fault)> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let found = match parts[..] {
            ["api", "2.0", "groups", word] => groups(method, word).map(|found| found.map(Route::Groups)),
            ["api", "2.0", "token", word] => tokens(method, word).map(|found| found.map(Route::Tokens)),
            ["api", "2.0", "token-management", ref rest @ ..] => managed(method, rest).map(|found| found.map(Route::Tokens)),
            ["api", "2.0", "preview", "scim", "v2", ref rest @ ..] => {
                return scim(method, rest)
                    .ok_or(Fault::NoPath)
                    .and_then(|found| found)
                    .map(Route::Scim)
                    .map_err(|fault| (Dialect::Scim, fault));
            }
            _ => None,
        };
        found.ok_or(Fault::NoPath).and_then(|found| found).map_err(|fault| (Dialect::Databricks, fault))
    }
}

type Found<T> = Option<Result<T, Fault>>;

fn only<T>(method: &Method, wanted: &Method, allowed: &'static str, call: T) -> Found<T> {
    Some(if method == wanted { Ok(call) } else { Err(Fault::NoMethod { allowed }) })
}

fn groups(method: &Method, word: &str) -> Found<GroupCall> {
    let post = |call| only(method, &Method::POST, "POST", call);
    let get = |call| only(method, &Method::GET, "GET", call);
    match word {
        "create" => post(GroupCall::Create),
        "list" => get(GroupCall::List),
        "add-member" => post(GroupCall::AddMember),
        "list-members" => get(GroupCall::ListMembers),
        "list-parents" => get(GroupCall::ListParents),
        "remove-member" => post(GroupCall::RemoveMember),
        "delete" => post(GroupCall::Delete),
        _ => None,
    }
}

fn tokens(method: &Method, word: &str) -> Found<TokenCall> {
    match word {
        "create" => only(method, &Method::POST, "POST", TokenCall::Create),
        "list" => only(method, &Method::GET, "GET", TokenCall::List),
        "delete" => only(method, &Method::POST, "POST", TokenCall::Delete),
        _ => None,
    }
}

fn managed(method: &Method, rest: &[&str]) -> Found<TokenCall> {
    match rest {
        ["tokens"] => only(method, &Method::GET, "GET", TokenCall::ListAll),
        ["tokens", id] if !id.is_empty() => Some(match *method {
            Method::GET => Ok(TokenCall::Get((*id).to_owned())),
            Method::DELETE => Ok(TokenCall::Revoke((*id).to_owned())),
            _ => Err(Fault::NoMethod { allowed: "GET, DELETE" }),
        }),
        ["on-behalf-of", "tokens"] => only(method, &Method::POST, "POST", TokenCall::CreateFor),
        _ => None,
    }
}

fn scim(method: &Method, rest: &[&str]) -> Found<ScimCall> {
    let (kind, id) = match rest {
        ["Me"] => return only(method, &Method::GET, "GET", ScimCall::Me),
        [kind] => (ScimKind::named(kind)?, None),
        [kind, id] => (ScimKind::named(kind)?, Some(*id)),
        _ => return None,
    };
    let Some(id) = id else {
        return Some(match *method {
            Method::GET => Ok(ScimCall::List(kind)),
            Method::POST => Ok(ScimCall::Create(kind)),
            _ => Err(Fault::NoMethod { allowed: "GET, POST" }),
        });
    };
    // An id that cannot be one is nobody's.
    let id = scim::number(id).unwrap_or(PrincipalId(-1));
    Some(match *method {
        Method::GET => Ok(ScimCall::Get(kind, id)),
        Method::PUT => Ok(ScimCall::Replace(kind, id)),
        Method::PATCH => Ok(ScimCall::Patch(kind, id)),
        Method::DELETE => Ok(ScimCall::Delete(kind, id)),
        _ => Err(Fault::NoMethod { allowed: "GET, PUT, PATCH, DELETE" }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_paths_and_other_methods_are_told_apart() {
        let find = |method, path| Route::find(&method, path);
        assert_eq!(find(Method::POST, "/api/2.0/groups/create"), Ok(Route::Groups(GroupCall::Create)));
        assert_eq!(
            find(Method::DELETE, "/api/2.0/preview/scim/v2/Users/7"),
            Ok(Route::Scim(ScimCall::Delete(ScimKind::User, PrincipalId(7))))
        );
        for path in
            ["/", "/.well-known/databricks-config", "/api/2.0/groups/create/", "/api/2.0//groups/create", "/api/2.1/groups/list"]
        {
            assert_eq!(find(Method::GET, path), Err((Dialect::Databricks, Fault::NoPath)), "{path}");
        }
        assert_eq!(find(Method::GET, "/api/2.0/preview/scim/v2/users"), Err((Dialect::Scim, Fault::NoPath)));
        let other = find(Method::PUT, "/api/2.0/token-management/tokens/1");
        assert_eq!(other, Err((Dialect::Databricks, Fault::NoMethod { allowed: "GET, DELETE" })));
    }
}
