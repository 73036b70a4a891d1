"""The whole life of a group and of a token, by the legacy Databricks CLI and by the Databricks SDK, as a transcript.

The CLI drops the port of its host, so it goes through the API as through a proxy: requests then name the whole address.
What differs from run to run (ids, tokens, times) is replaced by its name.
"""
import json
import os
import re

from click.testing import CliRunner
from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.errors import DatabricksError
from databricks.sdk.service import iam
from databricks_cli.cli import cli

PORT = os.environ["PGUSHER_HTTP_PORT"]
TOKENS = {"admin": os.environ["ADMIN_TOKEN"], "ana": os.environ["ANA_TOKEN"]}
names = {token: f"<{who}'s token>" for who, token in TOKENS.items()}


def named(text):
    """The text without what differs from run to run."""
    text = re.sub(r"\b1[0-9]{12}\b", "<time>", text).replace(f":{PORT}", ":<port>")
    for value, name in names.items():
        text = text.replace(value, name)
    return re.sub(r'"[0-9a-f]{16}"', '"<another token id>"', text)


def shown(value):
    return named(json.dumps(value, ensure_ascii=False, sort_keys=True))


def databricks(who, *arguments, only=""):
    """A command of the CLI: what it printed, and its exit status."""
    print(f"{who}$ databricks {named(' '.join(arguments))}")
    environment = {
        "DATABRICKS_HOST": "http://pgusher.test",
        "DATABRICKS_TOKEN": TOKENS[who],
        "http_proxy": f"http://127.0.0.1:{PORT}",
        "no_proxy": "",
        "NO_PROXY": "",
        "HOME": "/nonexistent",
    }
    done = CliRunner().invoke(cli, list(arguments), env=environment)
    output = done.output.strip()
    answer = None
    if output.startswith("{"):
        answer = json.loads(output)
        # The clear text of a new token comes first, then everything that is shown of it.
        if "token_value" in answer:
            names[answer["token_value"]] = "<new token>"
            names[answer["token_info"]["token_id"]] = "<token id>"
        output = shown(answer)
    for line in named(output).splitlines():
        if only in line:
            print(line)
    if done.exit_code:
        print(f"exit status {done.exit_code}")
    return answer


def client(who):
    return WorkspaceClient(config=Config(host=f"http://127.0.0.1:{PORT}", token=TOKENS[who]))


def sdk(who, text, call):
    """A call of the SDK: what it gave, or the error it raised."""
    print(f"{who}> {named(text)}")
    try:
        found = call(client(who))
        if found is None:
            return None
        many = not hasattr(found, "as_dict") and not isinstance(found, dict)
        found = list(found) if many else found
        plain = [one.as_dict() for one in found] if many else found if isinstance(found, dict) else found.as_dict()
        if isinstance(plain, dict) and "token_value" in plain:
            names[plain["token_value"]] = "<newer token>"
            names[plain["token_info"]["token_id"]] = "<newer id>"
        print(shown(plain))
        return found
    except DatabricksError as error:
        print(f"{type(error).__name__} {error.error_code}: {named(str(error))}")
        return None


def the_cli_and_a_group():
    databricks("admin", "groups", "create", "--group-name", "crew")
    databricks("admin", "groups", "create", "--group-name", "crew")
    databricks("admin", "groups", "add-member", "--parent-name", "crew", "--user-name", "ana@example.com")
    databricks("admin", "groups", "add-member", "--parent-name", "crew", "--group-name", "hr")
    databricks("admin", "groups", "add-member", "--parent-name", "crew", "--user-name", "nobody@example.com")
    databricks("admin", "groups", "list-members", "--group-name", "crew")
    databricks("admin", "groups", "list-parents", "--user-name", "ana@example.com")
    databricks("admin", "groups", "list-parents", "--group-name", "hr")
    databricks("admin", "groups", "list")
    databricks("ana", "groups", "list")
    databricks("ana", "groups", "add-member", "--parent-name", "admins", "--user-name", "ana@example.com")
    databricks("admin", "groups", "remove-member", "--parent-name", "crew", "--user-name", "ana@example.com")
    databricks("admin", "groups", "remove-member", "--parent-name", "crew", "--group-name", "hr")
    databricks("admin", "groups", "list-members", "--group-name", "crew")
    databricks("admin", "groups", "delete", "--group-name", "crew")
    databricks("admin", "groups", "delete", "--group-name", "crew")


def the_cli_and_a_token():
    made = databricks("ana", "tokens", "create", "--comment", "for the CLI", "--lifetime-seconds", "3600")
    TOKENS["new"] = made["token_value"]
    databricks("new", "tokens", "list", only="for the CLI")
    databricks("ana", "tokens", "revoke", "--token-id", made["token_info"]["token_id"])
    databricks("ana", "tokens", "revoke", "--token-id", made["token_info"]["token_id"])
    databricks("new", "tokens", "list")


def the_sdk_and_a_group():
    ana = next(iter(client("admin").users.list(filter='userName eq "ana@example.com"')))
    names[f'"{ana.id}"'], names[f"Users/{ana.id}"] = '"<ana>"', "Users/<ana>"
    users = next(iter(client("admin").groups.list(filter="displayName eq users")))
    names[f'"{users.id}"'], names[f"Groups/{users.id}"] = '"<users>"', "Groups/<users>"
    made = sdk("admin", "groups.create(display_name='crew')", lambda w: named_group(w.groups.create(display_name="crew")))
    add = iam.Patch(op=iam.PatchOp.ADD, value={"members": [{"value": ana.id}]})
    remove = iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{ana.id}"]')
    schemas = [iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    sdk("admin", "groups.create(display_name='crew')", lambda w: w.groups.create(display_name="crew"))
    sdk("admin", "groups.patch(crew, add ana)", lambda w: w.groups.patch(made.id, operations=[add], schemas=schemas))
    sdk("admin", "groups.get(crew)", lambda w: w.groups.get(made.id))
    sdk("admin", "groups.list(filter='displayName eq crew')", lambda w: w.groups.list(filter="displayName eq crew", attributes="displayName"))
    sdk("admin", "groups.patch(crew, remove ana)", lambda w: w.groups.patch(made.id, operations=[remove], schemas=schemas))
    sdk("admin", "groups.update(crew, members=[ana])", lambda w: w.groups.update(made.id, display_name="crew", members=[iam.ComplexValue(value=ana.id)]))
    sdk("admin", "groups.get(crew)", lambda w: w.groups.get(made.id))
    sdk("admin", "groups.update(crew, display_name='crew2')", lambda w: w.groups.update(made.id, display_name="crew2"))
    sdk("ana", "groups.get(crew)", lambda w: w.groups.get(made.id))
    sdk("ana", "groups.delete(crew)", lambda w: w.groups.delete(made.id))
    sdk("admin", "groups.delete(crew)", lambda w: w.groups.delete(made.id))
    sdk("admin", "groups.get(crew)", lambda w: w.groups.get(made.id))
    sdk("admin", "api_client.do('/api/2.0/groups/list-members', crew)", lambda w: w.api_client.do("GET", "/api/2.0/groups/list-members", query={"group_name": "crew"}))


def named_group(group):
    names[f'"{group.id}"'] = '"<crew>"'
    return group


def the_sdk_and_principals():
    made = client("admin").users.create(user_name="eve@example.com")
    names[f'"{made.id}"'] = '"<eve>"'
    sdk("admin", "users.get(eve)", lambda w: w.users.get(made.id))
    off = [iam.Patch(op=iam.PatchOp.REPLACE, value={"active": False})]
    sdk("admin", "users.patch(eve, active=False)", lambda w: w.users.patch(made.id, operations=off))
    sdk("admin", "users.list(filter='active eq false')", lambda w: w.users.list(filter="active eq false", attributes="userName"))
    sdk("admin", "users.update(eve, active=True)", lambda w: w.users.update(made.id, user_name="eve@example.com", active=True))
    sdk("admin", "users.delete(eve)", lambda w: w.users.delete(made.id))
    robot = sdk("admin", "service_principals.create(application_id='robot')", lambda w: named_robot(w.service_principals.create(application_id="robot")))
    sdk("admin", "token_management.create_obo_token('robot')", lambda w: w.token_management.create_obo_token("robot", comment="nightly", lifetime_seconds=600))
    token = next(one for one in client("admin").token_management.list() if one.comment == "nightly")
    sdk("admin", "token_management.get(nightly)", lambda w: w.token_management.get(token.token_id))
    sdk("ana", "token_management.list()", lambda w: w.token_management.list())
    sdk("ana", "token_management.delete(nightly)", lambda w: w.token_management.delete(token.token_id))
    sdk("admin", "token_management.delete(nightly)", lambda w: w.token_management.delete(token.token_id))
    sdk("admin", "token_management.get(nightly)", lambda w: w.token_management.get(token.token_id))
    sdk("admin", "service_principals.delete(robot)", lambda w: w.service_principals.delete(robot.id))


def named_robot(robot):
    names[f'"{robot.id}"'], names[f": {robot.id}"] = '"<robot>"', ": <robot>"
    return robot


def the_sdk_and_a_token():
    me = client("ana").current_user.me()
    print("me:", me.user_name, me.active, [group.display for group in me.groups])
    made = sdk("ana", "tokens.create(comment='for the SDK')", lambda w: w.tokens.create(comment="for the SDK", lifetime_seconds=3600))
    TOKENS["newer"] = made.token_value
    print("listed:", any(one.token_id == made.token_info.token_id for one in client("newer").tokens.list()))
    sdk("admin", "tokens.delete(ana's)", lambda w: w.tokens.delete(made.token_info.token_id))
    sdk("ana", "tokens.delete(it)", lambda w: w.tokens.delete(made.token_info.token_id))
    sdk("ana", "tokens.delete(it)", lambda w: w.tokens.delete(made.token_info.token_id))
    sdk("newer", "tokens.list()", lambda w: w.tokens.list())


for part in [the_cli_and_a_group, the_cli_and_a_token, the_sdk_and_a_group, the_sdk_and_principals, the_sdk_and_a_token]:
    print(f"# {part.__name__.replace('_', ' ')}")
    part()
