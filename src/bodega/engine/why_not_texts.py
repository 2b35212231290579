"""The sentences of `why_not`, in English and Chinese. Data, not code."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "unknown_item": "The shop has no item with the id “{title}”; if it is new, it may wait for the next learn",
        "gone": "“{title}” was deleted from the catalog",
        "hidden_by_rule": "A rule of the shop hides it here: {details}",
        "filtered_by_rule": "A rule of the shop narrows this list, and it does not pass: {details}",
        "anchor": "The list is asked around this very item",
        "dismissed": "The shopper dismissed or returned it",
        "already_has": "The shopper already has it, and people here rarely buy the same item again",
        "filtered": "It does not pass what the shopper chose: {details}",
        "condition": "The query itself leaves it out: “{details}”",
        "sold_out": "It cannot be bought now, and this list shows only what can",
        "not_found": "The query does not find it; not in its texts: {details}",
        "not_found:": "The query does not find it, though its texts hold the words: others hold them better",
        "not_proposed": "No source of this list has it among its first {depth}",
        "variant": "“{instead}” stands for this product, at place {position}; one variant is shown",
        "demoted": "Mixing the list moved it down behind the page: {details}",
        "sold_out_last": "It is sold out, and such items come last here: place {position} of {total}",
        "sorted": "The list is sorted by {details}, which puts it at place {position} of {total}",
        "outranked": "Ranked at place {position} of {total}, behind the last one shown, “{instead}”",
        "outranked+": "Ranked at place {position} of {total}; what most sets the last one shown, “{instead}”, "
        "before it is {by}",
        "outranked-": "Ranked at place {position} of {total}; held back by {details}",
        "other_page": "It is on an earlier page: place {position} of {total}",
        "shown": "It is shown, at place {position}",
    },
    "zh": {
        "unknown_item": "本店没有编号为“{title}”的商品；如果是新品，可能要等下一次学习",
        "gone": "“{title}”已从商品目录中删除",
        "hidden_by_rule": "店铺规则在此隐藏了它：{details}",
        "filtered_by_rule": "店铺规则缩小了此列表的范围，它不符合：{details}",
        "anchor": "此列表正是围绕这件商品给出的",
        "dismissed": "顾客表示不感兴趣或已退货",
        "already_has": "顾客已经拥有它，而这里的人很少重复购买同一商品",
        "filtered": "不符合顾客选择的条件：{details}",
        "condition": "搜索词本身排除了它：“{details}”",
        "sold_out": "目前无法购买，而此列表只显示可购买的商品",
        "not_found": "搜索找不到它；其文字中没有：{details}",
        "not_found:": "搜索找不到它：文字中虽有这些词，但其他商品更符合",
        "not_proposed": "此列表的任何来源的前{depth}名中都没有它",
        "variant": "“{instead}”在第{position}位代表这一商品；同款只显示一件",
        "demoted": "列表多样化把它移到了本页之后：{details}",
        "sold_out_last": "已售罄，此类商品排在最后：第{position}位，共{total}件",
        "sorted": "列表按{details}排序，它排在第{position}位，共{total}件",
        "outranked": "排在第{position}位，共{total}件，在最后显示的“{instead}”之后",
        "outranked+": "排在第{position}位，共{total}件；最后显示的“{instead}”领先它，主要在于{by}",
        "outranked-": "排在第{position}位，共{total}件；受{details}影响而靠后",
        "other_page": "在前面的页上：第{position}位，共{total}件",
        "shown": "已显示，在第{position}位",
    },
}
"""{language: {stage: sentence}}; `not_found:` where no word is missing, `outranked+` where one source decided most,
`outranked-` where a rule held the item back."""


def said(stage: str, language: str, facts: Mapping[str, str]) -> str:
    """The sentence for a stage; other languages get English.

    >>> said("shown", "zh-CN", {"position": "3"})
    '已显示，在第3位'
    """
    texts = TEXTS.get(language[:2], TEXTS["en"])
    if stage == "not_found" and not facts["details"]:
        stage = "not_found:"
    if stage == "outranked":
        stage = "outranked-" if facts["details"] else "outranked+" if facts["by"] else stage
    return texts[stage].format_map(facts)
