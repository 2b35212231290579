"""Which words name a material, a pattern, an audience, a season everywhere? What a shop without any list starts from.

Each line is one value: its English name, then other ways to say it, English and Chinese. Words that mostly say
something else (leather as in "leather cleaner" is fine; "down", "spring" as of a mattress, "fall" is not) are left out:
a shop's own columns bring them in where they are values. Colours live in `understanding.query.colours`.
Not for: values of one trade (the shop's own columns are the dictionary for those).
"""

from __future__ import annotations

from bodega.feeds.mapping import plain
from bodega.understanding.query import colours
from bodega.understanding.query.measures import SIZE_COLUMNS

KINDS = ("brand", "colour", "size", "material", "audience", "pattern", "season", "quantity", "attribute")

_MATERIAL = """
cotton: pure cotton, 100% cotton, organic cotton; 棉, 纯棉, 全棉, 棉质, 精梳棉
linen: flax; 亚麻, 棉麻, 麻布
wool: merino, merino wool, lambswool; 羊毛, 纯羊毛, 毛呢
cashmere: ; 羊绒, 山羊绒
silk: mulberry silk; 真丝, 桑蚕丝, 蚕丝
leather: genuine leather, cowhide, suede; 真皮, 牛皮, 头层牛皮, 羊皮, 皮革
faux leather: pu leather, vegan leather, leatherette; pu皮, 仿皮, 人造革
polyester: ; 涤纶, 聚酯纤维
nylon: polyamide; 尼龙, 锦纶
fleece: polar fleece, microfleece; 摇粒绒, 抓绒
denim: ; 牛仔布, 丹宁
canvas: ; 帆布
velvet: velour; 天鹅绒, 丝绒, 金丝绒
spandex: elastane, lycra; 氨纶, 莱卡
rayon: viscose, modal; 人造棉, 莫代尔, 粘纤
bamboo: ; 竹, 竹制, 竹纤维
wood: wooden, solid wood, hardwood, oak, walnut wood, beech, pine wood; 实木, 木质, 原木, 橡木
stainless steel: stainless; 不锈钢
aluminum: aluminium; 铝合金, 铝
glass: tempered glass; 玻璃, 钢化玻璃
ceramic: ceramics, porcelain, stoneware; 陶瓷, 瓷, 骨瓷
plastic: polypropylene, abs plastic; 塑料, 塑胶
silicone: ; 硅胶
rubber: ; 橡胶
paper: cardboard; 纸质, 纸
cork: ; 软木
memory foam: ; 记忆棉
"""
_PATTERN = """
solid: solid color, solid colour, plain color; 纯色
striped: stripe, stripes, pinstripe; 条纹, 竖条纹, 横条纹
checked: plaid, checkered, gingham, tartan; 格子, 格纹
floral: flowered, flower print; 碎花, 印花, 花卉
polka dot: polka dots, dotted; 波点, 圆点
camouflage: camo; 迷彩
leopard: leopard print, animal print; 豹纹
paisley: ; 腰果花
tie-dye: tie dye, tie dyed; 扎染
color-blocked: color block, colour block, colorblock; 拼色, 撞色
graphic: graphic print; 字母图案
"""
_AUDIENCE = """
women: woman, womens, women's, ladies, lady, female; 女, 女士, 女款, 女式, 女装
men: man, mens, men's, gents, male; 男, 男士, 男款, 男式, 男装
unisex: ; 男女通用, 中性, 情侣
kids: kid, kids', children, childrens, children's, youth; 儿童, 童装, 中大童
girls: girl, girl's, girls'; 女童, 女孩
boys: boy, boy's, boys'; 男童, 男孩
baby: babies, infant, infants, newborn; 婴儿, 宝宝, 新生儿
toddler: toddlers; 幼儿
"""
_SEASON = """
spring: springtime; 春季, 春款, 春装
summer: ; 夏季, 夏天, 夏款, 夏装
autumn: ; 秋季, 秋天, 秋款, 秋装
winter: ; 冬季, 冬天, 冬款, 冬装
all seasons: all season, four seasons, year round; 四季, 四季通用
"""
LEXICON: dict[str, str] = {"material": _MATERIAL, "pattern": _PATTERN, "audience": _AUDIENCE, "season": _SEASON}
_COLUMN_NAMES = {
    "brand": "brand",
    "material": "material materials fabric fabrics fabrictype fabriccontent composition 材质 面料 材料 成分 主要材质",
    "audience": "gender audience targetaudience targetgender sex targetgroup 性别 适用性别 适用人群 适用对象",
    "pattern": "pattern patterns patterntype design 图案 花纹 图案类型",
    "season": "season seasons climate 季节 适用季节 上市季节",
}
_KIND_OF = {name: kind for kind, names in _COLUMN_NAMES.items() for name in names.split()}
COLUMN = {"colour": "colour", "material": "material", "audience": "audience", "pattern": "pattern", "season": "season"}
"""The column that a kind gets where the shop has none."""


def kind_of(column: str) -> str:
    """What a column of words holds, by its name; `attribute` for all that have no name of their own here.

    >>> [kind_of(name) for name in ("Base_Colour", "shoe size", "gender", "材质", "connector")]
    ['colour', 'size', 'audience', 'material', 'attribute']
    """
    if colours.is_colour_field(column):
        return "colour"
    name = plain(column)
    return "size" if name in SIZE_COLUMNS else _KIND_OF.get(name, "attribute")


def said_as(kind: str) -> dict[str, tuple[str, bool]]:
    """{a way to say a value of this kind: (its English name, is the way Chinese)}."""
    if kind == "colour":
        return {name: (colours.FAMILY[name], not name.isascii()) for name in sorted(colours.SURE)}
    out: dict[str, tuple[str, bool]] = {}
    for line in LEXICON.get(kind, "").strip().splitlines():
        name, _, rest = line.partition(":")
        for half in rest.split(";"):
            for way in half.split(","):
                if way.strip():
                    out[way.strip()] = name, not way.strip().isascii()
        out[name] = name, False
    return out


def chinese(kind: str, name: str) -> str:
    """The Chinese name of a value, as a Chinese shop would list it; the English one where there is none."""
    if kind == "colour":
        return next((way for way, family in colours.FAMILY.items() if family == name and way.endswith("色")), name)
    ways = [way for way, (value, han) in said_as(kind).items() if han and value == name]
    return ways[0] if ways else name
