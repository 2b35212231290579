"""Which colour is meant? English and Chinese names, and the family each belongs to, so that 红色 finds "Burgundy".

Names that mostly say something else (orange, rose, cream, wine, olive, 金) are colours only where the catalog itself
uses them as one. Not for: pictures.
"""

from __future__ import annotations

from bodega.feeds.mapping import plain
from bodega.understanding import language

_FAMILIES = {
    "black": "black|jet|onyx|ebony 黑色|黑|纯黑",
    "white": "white|ivory|snow|offwhite 白色|白|米白|乳白|米白色|乳白色|象牙白",
    "grey": "grey|gray|charcoal|slate|graphite|heather 灰色|灰|深灰|浅灰|深灰色|浅灰色",
    "red": "red|maroon|burgundy|crimson|scarlet|ruby 红色|红|大红|酒红|大红色|酒红色|暗红色",
    "pink": "pink|magenta|fuchsia|rose|blush 粉色|粉红|粉红色|玫红|玫红色|桃红色",
    "orange": "orange|coral|tangerine|rust 橙色|橘色|橙红色|橘红色",
    "yellow": "yellow|mustard|lemon 黄色|黄|姜黄色|鹅黄色",
    "green": "green|olive|emerald|khaki|lime|mint|sage 绿色|绿|军绿|军绿色|墨绿|墨绿色|薄荷绿",
    "blue": "blue|navy|cobalt|azure|indigo|denim|turquoise|teal|aqua|cyan "
    "蓝色|蓝|深蓝|藏青|深蓝色|浅蓝色|天蓝色|藏青色|宝蓝色",
    "purple": "purple|violet|lavender|lilac|plum|mauve 紫色|紫|深紫色|浅紫色|香芋紫",
    "brown": "brown|chocolate|coffee|tan|camel|chestnut|mocha 棕色|咖啡色|褐色|驼色|焦糖色|咖色|棕",
    "beige": "beige|cream|nude|sand|taupe|ecru 米色|杏色|卡其色|裸色",
    "silver": "silver|chrome|platinum 银色|银白色",
    "gold": "gold|golden|brass 金色|香槟色|土豪金",
    "multicolour": "multicolour|multicolor|multi|multicoloured|multicolored|colorful|rainbow|assorted 彩色|多色",
}
_AMBIGUOUS = (
    "jet onyx ebony snow slate heather ruby rose blush orange coral tangerine rust mustard lemon olive emerald "
    "lime mint sage cobalt azure denim aqua lavender lilac plum chocolate coffee tan camel chestnut mocha cream "
    "nude sand chrome platinum brass multi assorted rainbow gold silver golden violet"
)
_OFTEN_SOMETHING_ELSE = frozenset(_AMBIGUOUS.split())
FAMILY: dict[str, str] = {
    name: family for family, names in _FAMILIES.items() for half in names.split(" ") for name in half.split("|")
}
"""{name of a colour, folded: its family}."""
SURE: frozenset[str] = frozenset(FAMILY) - _OFTEN_SOMETHING_ELSE
"""Names that are a colour wherever they stand as a word."""
_FIELD_NAMES = (
    "color colour colors colours basecolor basecolour colorfamily colourfamily colorname colourname maincolor 颜色 "
    "颜色分类 主色 色系"
)
NAMES = frozenset(_FIELD_NAMES.split())


def is_colour_field(name: str) -> bool:
    """Does a column of this name hold colours?

    >>> is_colour_field("base_colour"), is_colour_field("Color"), is_colour_field("brand")
    (True, True, False)
    """
    return plain(name) in NAMES


def families(value: str) -> frozenset[str]:
    """The families that a catalog's colour says: "Navy Blue" is blue, "Black/White" both.

    >>> sorted(families("Black/White")), sorted(families("酒红色"))
    (['black', 'white'], ['red'])
    """
    words = language.fold(value).replace("/", " ").replace("-", " ").replace("&", " ").split()
    found = {FAMILY[word.strip(",.;")] for word in words if word.strip(",.;") in FAMILY}
    return frozenset(found)


def english(name: str) -> str:
    """The English name of a Chinese colour, "" for any other word.

    >>> english("红色"), english("red")
    ('red', '')
    """
    return "" if name.isascii() else FAMILY.get(name, "")
