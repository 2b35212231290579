"""Under which names do shops keep our fields? English and Chinese first, some German and French.

The most telling name comes first: a file with `id` and `sku` is keyed by `id`. Not for: exports with a fixed layout
(those have their own file in `exports/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bodega.feeds import RawRow, infer
from bodega.feeds.mapping import plain

_NAMES = {
    "id": (
        "id item_id product_id object_id sku asin variant_sku upc ean gtin isbn article_id article_number "
        "artikelnummer artikelnr product_code item_code item_number code 商品id 商品编号 商品编码 产品编号 "
        "产品id 商品代码 编号 货号 款号 条码 sku编码"
    ),
    "title": (
        "title name product_name product_title item_name item_title product_display_name display_name titel "
        "bezeichnung produktname nom titre 标题 商品名称 商品标题 产品名称 商品名 品名 名称 产品标题"
    ),
    "description": (
        "description long_description description_html body_html product_description body details "
        "short_description summary beschreibung descriptif 描述 商品描述 产品描述 详情 商品详情 简介 介绍 "
        "说明"
    ),
    "brand": (
        "brand brand_name product_brand manufacturer vendor maker publisher marke hersteller marque 品牌 "
        "品牌名称 品牌名 厂商 制造商 厂家"
    ),
    "category": (
        "hierarchical_categories category categories category_path category_name product_category product_type "
        "breadcrumbs breadcrumb taxonomy department article_type kategorie warengruppe catégorie 类目 分类 商品分类 "
        "商品类目 品类 类别 产品分类 类目路径"
    ),
    "sale_price": (
        "sale_price special_price discounted_price discount_price promo_price offer_price angebotspreis "
        "促销价 折扣价 活动价 优惠价"
    ),
    "price": (
        "price unit_price selling_price current_price retail_price regular_price list_price base_price amount "
        "preis prix 价格 售价 单价 销售价 销售价格 现价 商品价格 原价 价钱"
    ),
    "currency": "currency currency_code price_currency währung devise 币种 货币",
    "stock": (
        "stock stock_quantity stock_qty inventory inventory_quantity quantity_available units_in_stock qty "
        "quantity bestand lagerbestand 库存 库存数量 库存量 数量"
    ),
    "availability": (
        "availability stock_status inventory_status is_available available in_stock is_in_stock verfügbarkeit "
        "库存状态 是否有货 上架状态 销售状态"
    ),
    "images": (
        "images image_urls image_url image_link image_links image main_image primary_image img_url img "
        "picture pictures photo photos thumbnail bild 图片 主图 图片链接 商品图片 图片地址"
    ),
    "tags": "tags _tags keywords labels schlagworte 标签 关键词 关键字",
    "group": (
        "group group_id item_group_id variant_group parent_id parent_sku parent_asin parent spu spu_id "
        "style_id 款式编号 父商品 spu编码"
    ),
    "options": "options variant_options",
    "language": "language lang locale sprache 语言",
    "created": (
        "created created_at date_created date_added published_at publish_date release_date launch_date "
        "创建时间 上架时间 上市时间 发布时间 添加时间"
    ),
    "updated": "updated updated_at date_updated last_modified modified_at 更新时间 修改时间",
    "seller": ("seller seller_name seller_id merchant merchant_name shop_name store_name 卖家 店铺 店铺名称 商家"),
    "url": "url product_url link permalink item_url href 链接 商品链接 网址 产品链接",
    "kind": "kind item_kind",
    "links": "links item_links",
    "related": "related related_skus related_products related_items 相关商品",
    "upsell": "upsell upsells up_sell upsell_skus upsell_products",
    "crosssell": "crosssell crosssells cross_sell cross_sells crosssell_skus cross_sell_products 搭配商品",
}
NAMES: dict[str, tuple[str, ...]] = {field: tuple(names.split()) for field, names in _NAMES.items()}

LADDERS: tuple[tuple[str, ...], ...] = (
    ("department", "product_category", "product_type"),
    ("department", "category", "sub_category"),
    ("master_category", "sub_category", "article_type"),
    ("main_category", "sub_category", "sub_sub_category"),
    ("category", "sub_category", "sub_sub_category"),
    ("category", "subcategory", "subsubcategory"),
    ("category_1", "category_2", "category_3", "category_4", "category_5"),
    ("category_level_1", "category_level_2", "category_level_3", "category_level_4"),
    ("cat1", "cat2", "cat3", "cat4"),
    ("level_1", "level_2", "level_3", "level_4"),
    ("l1", "l2", "l3", "l4"),
    ("一级类目", "二级类目", "三级类目", "四级类目"),
    ("一级分类", "二级分类", "三级分类", "四级分类"),
    ("大类", "中类", "小类"),
)
"""Categories kept in one column a level, root first."""

JOIN = " > "
"""`mapping={"category": "department > product_type"}` takes one level from each column."""


def mapping_of(columns: Sequence[str], rows: Iterable[RawRow]) -> dict[str, str]:
    """{our field: their column}; a category kept in several columns is `first > second > ...`."""
    found = infer(columns, rows, NAMES)
    by_name = {plain(column): column for column in reversed(columns)}
    for ladder in LADDERS:
        steps = [by_name[plain(name)] for name in ladder if plain(name) in by_name]
        if len(steps) >= 2 and by_name.get(plain(ladder[0])) == steps[0]:
            found["category"] = JOIN.join(steps)
            break
    return found
