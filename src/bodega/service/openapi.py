"""The document that describes the API (OpenAPI 3.1), made from the very types that decode and encode.

Written out here, not derived from handler signatures, because handlers read bytes and write bytes; a test compares the
addresses and methods below with the router's, so neither can be forgotten. There is no page that loads scripts from
elsewhere: any viewer can be pointed at `/openapi.json`.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import msgspec

from bodega.engine.meanings import describe
from bodega.schema import Item, Page, Request
from bodega.service import asking
from bodega.service.configuring import SETTINGS_TYPES
from bodega.service.console import CONSOLE_TYPES
from bodega.service.doctor import DOCTOR_TYPES
from bodega.service.experiments import EXPERIMENT_TYPES
from bodega.service.explaining import WHY_NOT_TYPES
from bodega.service.fairness import FAIRNESS_TYPES
from bodega.service.front import FRONT_TYPES
from bodega.service.insight import DAILY, INSIGHT_TYPES, LIVE, QUERIES, TODAY
from bodega.service.inspecting import INSPECT_TYPES
from bodega.service.intake import Ids
from bodega.service.judgments import JUDGMENT_TYPES
from bodega.service.judgments import LISTED as JUDGED
from bodega.service.keyring import AUDITED, KEY_TYPES
from bodega.service.knowledge import FACT_TYPES, FACTS_PARAMETERS
from bodega.service.letters import LETTER_TYPES
from bodega.service.letters import LISTED as LETTERS_LISTED
from bodega.service.models import MODEL_TYPES
from bodega.service.operations import OFFICE
from bodega.service.operations import Operation as Operation
from bodega.service.photos import FORM, Seen
from bodega.service.privacy import PRIVACY_TYPES
from bodega.service.problems import MEDIA_TYPE
from bodega.service.relations import PARAMETERS as RELATIONS
from bodega.service.relations import RELATION_TYPES
from bodega.service.reviews import FLAGGED, LISTED, REVIEW_TYPES
from bodega.service.rules import RULE_TYPES
from bodega.service.shapes import (
    AlgoliaAsked,
    AlgoliaError,
    AlgoliaTold,
    Alive,
    Completions,
    Deleted,
    Events,
    EventsTaken,
    Faceted,
    Items,
    ItemsTaken,
    ProblemDocument,
    Ready,
)
from bodega.service.shoppers import SHOPPER_TYPES

REF = "#/components/schemas/{name}"

ASKED, TOLD = AlgoliaAsked.__name__, AlgoliaTold.__name__
FACET_VALUES = "/1/indexes/{index}/facets/{facet}/query"

PLAIN = (
    Page,
    Request,
    Item,
    Events,
    Items,
    Ids,
    EventsTaken,
    ItemsTaken,
    Deleted,
    Completions,
    Faceted,
    Alive,
    Ready,
    Seen,
)
TYPES = (
    *PLAIN,
    *RULE_TYPES,
    *EXPERIMENT_TYPES,
    *FACT_TYPES,
    *WHY_NOT_TYPES,
    *INSPECT_TYPES,
    *RELATION_TYPES,
    *PRIVACY_TYPES,
    *REVIEW_TYPES,
    *DOCTOR_TYPES,
    *SHOPPER_TYPES,
    *MODEL_TYPES,
    *FAIRNESS_TYPES,
    *FRONT_TYPES,
    *CONSOLE_TYPES,
    *SETTINGS_TYPES,
    *LETTER_TYPES,
    *KEY_TYPES,
    *JUDGMENT_TYPES,
    *INSIGHT_TYPES,
    AlgoliaAsked,
    AlgoliaTold,
    AlgoliaError,
)

PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "q": ("The words; empty browses.", {"type": "string", "maxLength": asking.QUERY_LIMIT}),
    "image": (
        "A photo to search by: what POST /v1/photo answered, or an address.",
        {"type": "string", "maxLength": asking.IMAGE_LIMIT},
    ),
    "place": ("Which list: home, popular, trending, rare, repeat, recent, category, basket ...", {"type": "string"}),
    "user": ("Who asks (pseudonymous id).", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "session": ("The visit.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "k": ("How many.", {"type": "integer", "minimum": 1, "maximum": 1000}),
    "offset": ("How many to skip.", {"type": "integer", "minimum": 0, "maximum": asking.OFFSET_LIMIT}),
    "language": ("Language of words and reasons: en, zh.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "personal": ("false: the same list for everybody.", {"type": "boolean"}),
    "sort": ("Order.", {"type": "string", "enum": ["relevance", "price_up", "price_down", "newest"]}),
    "filter": ("field:value or field:low..high; repeat for more.", {"type": "array", "items": {"type": "string"}}),
    "price": ("A range: 10..50, 10.. or ..50.", {"type": "string", "pattern": r"^-?[0-9.]*\.\.-?[0-9.]*$"}),
    "where": (
        'A filter expression: brand = "Acme" AND price < 50.',
        {"type": "string", "maxLength": asking.WHERE_LIMIT},
    ),
    "sort_by": ("A field of numbers: rating, or -rating.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "verbatim": ("true: search what was typed, uncorrected, not taken apart.", {"type": "boolean"}),
    "explain": ("true: with each hit what every feature of the ranking added.", {"type": "boolean"}),
    "segment": ("A segment that rules may ask for; repeat.", {"type": "array", "items": {"type": "string"}}),
    "facet_query": ("Only values that read like this.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "field": ("The field whose values are asked for.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "text": ("Only values that read like this; empty: all.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "facets": ("Fields to count, joined by commas.", {"type": "array", "items": {"type": "string"}}),
    "item": ("Anchor items; repeat for a basket.", {"type": "array", "items": {"type": "string"}}),
    "relation": ("Only this relation: variant, substitute, upgrade, complement ...", {"type": "string"}),
    "to": ("Another item: how the two hang together, in words.", {"type": "string", "maxLength": asking.ID_LIMIT}),
    "order": ("Order of reviews.", {"type": "string", "enum": ["newest", "helpful", "highest", "lowest"]}),
    "stars": ("Only reviews of so many stars; 0: all.", {"type": "integer", "minimum": 0, "maximum": 5}),
    "origin": ("Only judges of this kind.", {"type": "string", "enum": ["human", "clicks", "llm"]}),
    "judge": ("Only this judge.", {"type": "string", "maxLength": asking.NAME_LIMIT}),
    "reason": ("Only letters with this reason.", {"type": "string", "maxLength": 100}),
    "area": (
        "Only this part of the shop.",
        {"type": "string", "enum": ["keys", "settings", "rules", "experiments", "privacy"]},
    ),
    "rule": ("Id of a rule.", {"type": "string", "maxLength": 64}),
    "experiment": ("Id of an experiment.", {"type": "string", "maxLength": 100}),
    "metric": ("What decides: purchases, revenue, clicks ...", {"type": "string", "maxLength": 100}),
    "lift": ("The lift to be found: .02 is two percent.", {"type": "number", "minimum": 0, "maximum": 10}),
    "arms": ("Number of arms.", {"type": "integer", "minimum": 2, "maximum": 20}),
    "share": ("Part of the shoppers that takes part.", {"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
    "power": ("Chance to find it.", {"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1}),
    "brief": ("true: without its course and its segments.", {"type": "boolean"}),
    "attribute": ("Only facts of this column.", {"type": "string", "maxLength": asking.ID_LIMIT}),
    "value": ("Only facts with this value.", {"type": "string", "maxLength": asking.ID_LIMIT}),
    "status": ("Only these.", {"type": "string", "enum": ["mined", "accepted", "rejected"]}),
    "least": ("Confidence at least this.", {"type": "number", "minimum": 0, "maximum": 1}),
    "most": ("Confidence at most this.", {"type": "number", "minimum": 0, "maximum": 1}),
    "conflicts": ("true: only facts that contradict the shop; false: only others.", {"type": "boolean"}),
    "after": ("`next` of the page before.", {"type": "string"}),
    "part": ("A part of the score; all: the whole.", {"type": "string", "maxLength": 40}),
    "by": (
        "What they share (title, picture), or what days are parted by (place, position, source, hour).",
        {"type": "string", "enum": ["title", "picture", "place", "position", "source", "hour", ""]},
    ),
    "kind": (
        "A shopper with an id, or a guest by the visit (user, session); which queries (top, rising, failing).",
        {"type": "string", "enum": ["user", "session", "top", "rising", "failing"]},
    ),
    "days": ("So many days.", {"type": "integer", "minimum": 1, "maximum": 731}),
    "day": ("A day, YYYY-MM-DD in UTC; default: today.", {"type": "string", "format": "date"}),
    "until": ("The last day, YYYY-MM-DD in UTC.", {"type": "string", "format": "date"}),
    "minutes": ("So many minutes.", {"type": "integer", "minimum": 1, "maximum": 120}),
    "snapshot": ("Id of a snapshot; default: the served one.", {"type": "string", "maxLength": 64}),
    "source": ("A source with item vectors.", {"type": "string", "maxLength": 40}),
    "limit": ("At most so many.", {"type": "integer", "minimum": 0, "maximum": 1000}),
    "before": ("Older than this change.", {"type": "integer", "minimum": 0}),
    "X-Shopper-Token": ("Says whose data it is; signed by the shop.", {"type": "string", "maxLength": 2048}),
    "version": ("The version that was read; another one is refused.", {"type": "integer", "minimum": 0}),
}

ERRORS = {
    "400": "The request cannot be understood",
    "401": "A key is needed",
    "403": "The key lacks the scope",
    "404": "No such item or address",
    "408": "The body did not arrive in time",
    "409": "It was changed since it was read",
    "413": "Too large",
    "414": "The address is too long",
    "415": "Not application/json",
    "421": "Addressed to another host",
    "422": "Understood, but (partly) refused",
    "429": "Too many requests; see Retry-After",
    "503": "Overloaded, or nothing learned yet; see Retry-After",
    "507": "The store cannot take it",
}
NEVER_FOR_PUBLIC = ("401", "403", "409", "422", "429", "507")


PHOTO = "photo"
"""A body that is no JSON: the bytes of a photo, or a form with one."""
TRAIL = ("rule", "limit", "before")
TOKEN = ("X-Shopper-Token",)
PLAN = ("metric", "lift", "arms", "share", "power", "days")
TRIED = "/v1/experiments/{experiment_id}"

OPERATIONS = (
    Operation("get", "/v1/search", "search", "Search", "search", asking.SEARCH, answer="Page"),
    Operation("post", "/v1/search", "search_json", "Search, everything in JSON", "search", (), "Request", "Page"),
    Operation("post", "/v1/photo", "photo", "Look at a photo to search by", "search", (), PHOTO, "Seen"),
    Operation("get", "/images/{file}", "image", "A picture of the catalog, from the shop's folder"),
    Operation("get", "/v1/facets", "facet_values", "Values of one facet", "search", asking.FACETS, "", "Faceted"),
    Operation("get", "/v1/recommend", "recommend", "A list for a shopper", "search", asking.RECOMMEND, answer="Page"),
    Operation("post", "/v1/recommend", "recommend_json", "A list, in JSON", "search", (), "Request", "Page"),
    Operation("get", "/v1/items/{item_id}", "item", "One item", "search", answer="Item"),
    Operation(
        "get", "/v1/items/{item_id}/similar", "similar", "Could stand in for it", "search", asking.AROUND, answer="Page"
    ),
    Operation(
        "get", "/v1/items/{item_id}/together", "together", "Is bought with it", "search", asking.AROUND, answer="Page"
    ),
    Operation(
        "get",
        "/v1/items/{item_id}/relations",
        "relations",
        "What are others to it?",
        "search",
        RELATIONS,
        "",
        "Relations",
    ),
    Operation("get", "/v1/suggest", "suggest", "Completions while typing", "search", asking.SUGGEST, "", "Completions"),
    Operation(
        "post", "/v1/events", "events", "Record events (durable when answered)", "events", (), "Events", "EventsTaken"
    ),
    Operation(
        "get", "/v1/items/{item_id}/reviews", "item_reviews", "What is written", "search", LISTED, "", "ReviewPage"
    ),
    Operation("post", "/v1/reviews", "reviews", "Write reviews", "events", (), "ReviewBatch", "ReviewsTaken"),
    Operation("post", "/v1/reviews/helpful", "reviews_helpful", "It helped", "events", (), "HelpfulSaid", "Helped"),
    Operation("get", "/v1/about", "about", "What can be done here", "search", answer="Offers"),
    Operation("get", "/v1/items/{item_id}/variants", "variants", "All its variants", "search", answer="Variants"),
    Operation("get", "/v1/reviews/flagged", "reviews_flagged", "May be spam", "admin", FLAGGED, "", "ReviewsFlagged"),
    Operation(
        "post", "/v1/reviews/decide", "reviews_decide", "Keep or hide", "admin", (), "ReviewsDecided", "ReviewsChanged"
    ),
    Operation("post", "/v1/items", "items_upsert", "Add or replace items", "admin", (), "Items", "ItemsTaken"),
    Operation("delete", "/v1/items", "items_delete", "Delete items", "admin", (), "Ids", "Deleted"),
    Operation("delete", "/v1/items/{item_id}", "item_delete", "Delete an item", "admin", answer="Deleted"),
    Operation("post", "/1/indexes/{index}/queries", "algolia_queries", "Many queries", "search", (), ASKED, TOLD),
    Operation("post", "/1/indexes/{index}/query", "algolia_query", "One query", "search", (), ASKED, TOLD),
    Operation("get", "/1/indexes/{index}", "algolia_query_by_address", "One query", "search", answer=TOLD),
    Operation("post", FACET_VALUES, "algolia_facet_values", "Facet values", "search", (), ASKED, TOLD),
    Operation("get", "/1/indexes/{index}/{object}", "algolia_object", "One record", "search", answer=TOLD),
    Operation("post", "/1/events", "algolia_events", "Clicks, conversions, views", "events", (), ASKED, TOLD),
    Operation("get", "/v1/judgments", "judgments", "Who says what", "admin", JUDGED, "", "JudgmentList"),
    Operation("post", "/v1/judgments", "judgments_say", "Judge", "admin", (), "JudgmentsSaid", "JudgmentsTaken"),
    Operation("get", "/v1/judgments/progress", "judgments_progress", "How far it is", "admin", answer="JudgingTold"),
    Operation(
        "get", "/v1/judgments/queue", "judgments_queue", "Worth judging", "admin", ("limit",), "", "JudgmentQueue"
    ),
    Operation(
        "post", "/v1/judgments/delete", "judgments_delete", "Take it back", "admin", (), "JudgmentUnsaid", "Deleted"
    ),
    Operation("post", "/v1/judgments/clicks", "judgments_clicks", "Grade the clicks", "admin", answer="ClickReport"),
    Operation(
        "get", "/v1/judgments/reports", "judgments_reports", "The last nights", "admin", ("limit",), "", "ReportList"
    ),
    Operation(
        "post", "/v1/judgments/report", "judgments_report", "Did search get worse?", "admin", answer="RelevanceReport"
    ),
    Operation("get", "/v1/loop", "loop", "How far the loop is", "admin", answer="LoopTold"),
    Operation("post", "/v1/loop/run", "loop_run", "Let it go on", "admin", answer="LoopTold"),
    Operation("post", "/v1/loop/approve", "loop_approve", "Serve the candidate", "admin", answer="LoopTold"),
    Operation("post", "/v1/loop/reject", "loop_reject", "Drop the candidate", "admin", (), "LoopRejected", "LoopTold"),
    Operation("get", "/v1/rules", "rules", "All merchandising rules", "admin", answer="RuleList"),
    Operation("post", "/v1/rules", "rule_create", "Add a rule", "admin", (), "Rule", "Rule"),
    Operation("get", "/v1/rules/{rule_id}", "rule", "One rule", "admin", answer="Rule"),
    Operation("put", "/v1/rules/{rule_id}", "rule_put", "Add or replace a rule", "admin", (), "Rule", "Rule"),
    Operation("delete", "/v1/rules/{rule_id}", "rule_delete", "Delete a rule", "admin", ("version",), "", "Deleted"),
    Operation(
        "post", "/v1/rules/preview", "rules_preview", "What would it change?", "admin", (), "PreviewAsked", "Preview"
    ),
    Operation("get", "/v1/rules/audit", "rules_audit", "Who changed what", "admin", TRAIL, answer="RuleTrail"),
    Operation("get", "/v1/experiments", "experiments", "All experiments", "admin", answer="ExperimentList"),
    Operation(
        "get", "/v1/experiments/dials", "experiment_dials", "What may arms turn?", "admin", answer="ExperimentDials"
    ),
    Operation("get", "/v1/experiments/plan", "experiment_plan", "How long will it take?", "admin", PLAN, "", "Planned"),
    Operation(
        "get",
        "/v1/experiments/audit",
        "experiment_audit",
        "Who did what, and why",
        "admin",
        ("experiment", "limit", "before"),
        answer="ExperimentTrail",
    ),
    Operation("get", TRIED, "experiment", "One experiment", "admin", answer="KeptExperiment"),
    Operation("put", TRIED, "experiment_put", "Write a draft", "admin", ("version",), "Experiment", "KeptExperiment"),
    Operation("delete", TRIED, "experiment_delete", "Delete a draft", "admin", answer="Deleted"),
    Operation("get", f"{TRIED}/reading", "experiment_reading", "What it says now", "admin", ("brief",), "", "Tried"),
    Operation(
        "post", f"{TRIED}/start", "experiment_start", "Start it", "admin", (), "ExperimentMove", "KeptExperiment"
    ),
    Operation("post", f"{TRIED}/stop", "experiment_stop", "Stop it", "admin", (), "ExperimentMove", "KeptExperiment"),
    Operation(
        "post", f"{TRIED}/finish", "experiment_finish", "End it", "admin", (), "ExperimentMove", "KeptExperiment"
    ),
    Operation("post", "/v1/rules/undo", "rules_undo", "Take a change back", "admin", (), "UndoAsked", "RuleChange"),
    Operation("get", "/v1/knowledge", "knowledge", "Mined facts", "admin", FACTS_PARAMETERS, answer="FactPage"),
    Operation("get", "/v1/knowledge/counts", "knowledge_counts", "Facts by attribute", "admin", answer="FactCounts"),
    Operation(
        "post",
        "/v1/knowledge/decide",
        "knowledge_decide",
        "Accept, reject",
        "admin",
        (),
        "FactsDecided",
        "FactsChanged",
    ),
    Operation("post", "/v1/why-not", "why_not", "Why is it not on that page?", "admin", (), "WhyNotAsked", "WhyNot"),
    Operation("post", "/v1/inspect", "inspect", "How did it come about?", "admin", (), "InspectAsked", "Inspection"),
    Operation("post", "/v1/fixes", "fixes", "What may mend this query?", "admin", (), "FixesAsked", "Story"),
    Operation("post", "/v1/fixes/preview", "fixes_preview", "Measure a rule", "admin", (), "EffectAsked", "Effect"),
    Operation("post", "/v1/identify", "identify", "These ids are one shopper", "events", (), "Identified", "Linked"),
    Operation("post", "/v1/identify/apart", "identify_apart", "Undo a merge", "admin", (), "Identified", "Linked"),
    Operation("post", "/v1/consent", "consent_say", "What is agreed to", "events", (), "ConsentSaid", "ConsentHeld"),
    Operation("get", "/v1/consent", "consent_held", "What holds now", "events", ("user", "session"), "", "ConsentHeld"),
    Operation("get", "/v1/me", "me", "Everything kept of the token's bearer", "events", TOKEN, "", "ShopperKept"),
    Operation("delete", "/v1/me", "me_forget", "Forget the token's bearer", "events", TOKEN, "", "Receipt"),
    Operation("get", "/v1/shoppers/{user_id}", "shopper", "What is kept of a shopper", "admin", answer="ShopperKept"),
    Operation("delete", "/v1/shoppers/{user_id}", "shopper_forget", "Forget a shopper", "admin", answer="Receipt"),
    Operation("get", "/v1/erasures", "erasures", "Receipts of erasures", "admin", ("limit",), "", "ReceiptList"),
    Operation("get", "/v1/erasures/{erasure_id}", "erasure", "One receipt", "admin", answer="Receipt"),
    Operation("post", "/v1/console/session", "console_sign_in", "Sign in to the console", "admin", answer="Session"),
    Operation("get", "/v1/console/session", "console_session", "Who is signed in?", "admin", answer="Session"),
    Operation("delete", "/v1/console/session", "console_sign_out", "Sign out", "admin", answer="Session"),
    *OFFICE,
    Operation("get", "/v1/metrics/today", "metrics_today", "One day so far", "admin", TODAY, "", "TodayReport"),
    Operation("get", "/v1/metrics/daily", "metrics_daily", "Day by day", "admin", DAILY, "", "DailyReport"),
    Operation("get", "/v1/metrics/live", "metrics_live", "The last minutes", "admin", LIVE, "", "LiveReport"),
    Operation(
        "get", "/v1/metrics/queries", "metrics_queries", "What is searched", "admin", QUERIES, "", "QueriesReport"
    ),
    Operation("get", "/v1/live", "live_stream", "Live numbers, as server-sent events", "admin"),
    Operation("get", "/v1/console/facts", "console_facts", "How far the shop is", "admin", answer="ConsoleFacts"),
    Operation("get", "/v1/settings", "settings", "What can be set, and is", "admin", answer="Held"),
    Operation(
        "post",
        "/v1/settings/check",
        "settings_check",
        "What would it change?",
        "admin",
        (),
        "SettingsChanged",
        "Considered",
    ),
    Operation("put", "/v1/settings", "settings_put", "Change settings", "admin", (), "SettingsChanged", "Considered"),
    Operation("get", "/v1/letters", "letters", "Rows without use", "admin", LETTERS_LISTED, answer="LetterPage"),
    Operation("post", "/v1/letters/mend", "letters_mend", "Mend a row", "admin", (), "LetterMended", "LettersLeft"),
    Operation("post", "/v1/letters/retry", "letters_retry", "Try again", "admin", (), "LettersRetried", "LettersLeft"),
    Operation("post", "/v1/letters/drop", "letters_drop", "Throw away", "admin", (), "LettersDropped", "LettersLeft"),
    Operation("get", "/v1/keys", "keys", "All keys, never their texts", "admin", answer="KeyList"),
    Operation(
        "post", "/v1/keys", "key_create", "Make a key; its text is told once", "admin", (), "KeyAsked", "KeyMade"
    ),
    Operation("delete", "/v1/keys/{key_id}", "key_revoke", "Refuse a key from now on", "admin", answer="KeyRevoked"),
    Operation("get", "/v1/audit", "audit", "Who changed what, in all parts", "admin", AUDITED, answer="AuditTrail"),
    Operation("get", "/livez", "livez", "Is the process alive? Touches nothing", answer="Alive"),
    Operation("get", "/readyz", "readyz", "Can it answer? Asks the store and the snapshot", answer="Ready"),
    Operation("get", "/metrics", "metrics", "Prometheus series", "admin"),
    Operation("get", "/openapi.json", "openapi", "This document"),
)


def document(title: str) -> bytes:
    """The OpenAPI document as JSON."""
    _, schemas = msgspec.json.schema_components([*TYPES, ProblemDocument], ref_template=REF)
    describe(schemas, TYPES)
    schemas["Hit"]["properties"]["document"] = {"$ref": REF.format(name="Item")}
    schemas["Related"]["properties"]["document"] = {"$ref": REF.format(name="Item")}
    schemas["Variant"]["properties"]["document"] = {"$ref": REF.format(name="Item")}
    schemas["Event"]["required"] = [name for name in schemas["Event"]["required"] if name != "time"]
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method] = _operation(each)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": f"{title}: search and recommendations",
                "version": version("bodega"),
                "description": "Errors are problem documents (RFC 9457). Every answer carries X-Request-Id.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                },
            },
        }
    )


def _operation(each: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": _answer(each)}
    for status, meaning in ERRORS.items():
        if each.scope or status not in NEVER_FOR_PUBLIC:
            answers[status] = {"description": meaning, "content": _error(each)}
    if each.name == "readyz":
        answers["503"] = {**_answer(each), "description": "Not ready"}
    made: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "responses": answers,
        "security": [{"bearer": []}, {"key": []}] if each.scope else [],
    }
    if each.scope:
        made["description"] = f"Needs a key with the scope `{each.scope}`."
    listed = [_parameter(name) for name in each.parameters]
    listed = [_in_path(name) for name in re.findall(r"{(\w+)}", each.path)] + listed
    if listed:
        made["parameters"] = listed
    if each.body == PHOTO:
        binary = {"schema": {"type": "string", "format": "binary"}}
        form = {"schema": {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}}}
        made["requestBody"] = {"required": True, "content": {"image/*": binary, FORM: form}}
    elif each.body:
        schema = {"$ref": REF.format(name=each.body)}
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return made


def _error(each: Operation) -> dict[str, Any]:
    """Problem documents, but below `/1/` what Algolia's clients expect."""
    kind, name = (
        ("application/json", "AlgoliaError") if each.path.startswith("/1/") else (MEDIA_TYPE, "ProblemDocument")
    )
    return {kind: {"schema": {"$ref": REF.format(name=name)}}}


def _answer(each: Operation) -> dict[str, Any]:
    if each.answer:
        return {
            "description": "The answer",
            "content": {"application/json": {"schema": {"$ref": REF.format(name=each.answer)}}},
        }
    kinds = {"openapi": "application/json", "image": "image/*", "live_stream": "text/event-stream"}
    kind = kinds.get(each.name, "text/plain")
    return {
        "description": "The answer",
        "content": {kind: {"schema": {"type": "object" if "json" in kind or "event" in kind else "string"}}},
    }


def _parameter(name: str) -> dict[str, Any]:
    meaning, schema = PARAMETERS[name]
    where = "header" if name in TOKEN else "query"
    made: dict[str, Any] = {"name": name, "in": where, "description": meaning, "schema": schema}
    if schema["type"] == "array":
        made |= {"style": "form", "explode": name != "facets"}
    return made


def _in_path(name: str) -> dict[str, Any]:
    longest = asking.NAME_LIMIT if name == "user_id" else asking.ID_LIMIT
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    meaning = {"item_id": "The item's id", "object": "The item's id", "facet": "A field", "index": "Name of the index"}
    meaning |= {"experiment_id": "The experiment's id"}
    meaning |= {"key_id": "The key's id"}
    meaning |= {"file": "A path inside of the folder of pictures"}
    meaning |= {"rule_id": "The rule's id", "user_id": "The shopper's id", "erasure_id": "Number of the receipt"}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"{meaning[name]}, percent-encoded (a slash as %2F).",
        "schema": schema,
    }
