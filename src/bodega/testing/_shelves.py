"""The goods of the generated corner shop: kinds, names in English and Chinese, brands, prices, rhythms, complements.

Written by hand for tests and small enough to read. `kinds()` is all that `world` needs of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of goods: every item of the world belongs to exactly one."""

    name: str
    """English head noun, and the query a shopper types for it."""
    chinese: str
    path: tuple[str, str]
    brands: tuple[str, ...]
    varieties: tuple[str, ...]
    sizes: tuple[str, ...]
    price: float
    """Typical price of the first size, in dollars."""
    rhythm: float = 0.0
    """Days until a household that likes it needs it again; 0: no rhythm."""


_FARM = ("Hill Farm", "Morningside", "Two Oaks")
_PANTRY = ("Casa Lina", "Golden Spoon", "Mill Lane", "Everyday")
_ASIA = ("Jade Garden", "Lucky Crane", "Old Harbour")
_SWEET = ("Little Fox", "Cocoa House", "Brightside")
_DRINK = ("North Star", "Copper Kettle", "Blue Door", "Everyday")
_HOME = ("Clear Day", "Soft Cloud", "Everyday")
_CARE = ("Fern & Co", "Soft Cloud", "Birch")
_PET = ("Good Paw", "Old Tom")

_G = ("500 g", "1 kg")
_SMALL = ("200 g", "400 g")
_ML = ("500 ml", "1 l")
_PACK = ("6 pack", "12 pack")
_BAG = ("250 g", "1 kg")
_POT = ("150 g", "500 g")
_LITRES = ("1 l", "2 l")
_ROLLS = ("6 pack", "24 pack")
_BREAD = ("Mill Lane", "Two Oaks")
_FRENCH = ("Mill Lane", "Casa Lina")
_PIZZA = ("Casa Lina", "Brightside")

_TABLE: tuple[Kind, ...] = (
    Kind("milk", "牛奶", ("Dairy", "Milk"), _FARM, ("Whole", "Semi-Skimmed", "Organic"), _LITRES, 1.6, 5.0),
    Kind("oat drink", "燕麦奶", ("Dairy", "Milk"), _FARM, ("Barista", "Unsweetened"), ("1 l",), 2.2, 7.0),
    Kind("yogurt", "酸奶", ("Dairy", "Yogurt"), _FARM, ("Plain", "Strawberry", "Vanilla"), _POT, 1.1, 6.0),
    Kind("cheese", "奶酪", ("Dairy", "Cheese"), _FARM, ("Mild Cheddar", "Mature Cheddar", "Gouda"), _SMALL, 3.8, 10.0),
    Kind("butter", "黄油", ("Dairy", "Butter"), _FARM, ("Salted", "Unsalted"), ("250 g", "500 g"), 2.9, 12.0),
    Kind("eggs", "鸡蛋", ("Dairy", "Eggs"), _FARM, ("Free Range", "Organic"), _PACK, 2.6, 7.0),
    Kind("bread", "面包", ("Bakery", "Bread"), _BREAD, ("White", "Rye", "Seeded"), ("800 g",), 2.1, 4.0),
    Kind("bagels", "贝果", ("Bakery", "Bread"), ("Mill Lane", "Brightside"), ("Plain", "Sesame"), ("5 pack",), 2.4),
    Kind("croissants", "牛角包", ("Bakery", "Pastry"), _FRENCH, ("Butter", "Almond"), ("4 pack",), 3.2),
    Kind("pasta", "意大利面", ("Pantry", "Pasta"), _PANTRY, ("Spaghetti", "Penne", "Fusilli"), _G, 1.4),
    Kind("pasta sauce", "意面酱", ("Pantry", "Sauces"), _PANTRY, ("Tomato Basil", "Arrabbiata", "Pesto"), _SMALL, 2.3),
    Kind("rice", "大米", ("Pantry", "Rice"), _ASIA, ("Jasmine", "Brown", "Sushi"), ("1 kg", "5 kg"), 2.8, 20.0),
    Kind("noodles", "面条", ("Pantry", "Noodles"), _ASIA, ("Egg", "Udon", "Rice"), _SMALL, 1.7),
    Kind("soy sauce", "酱油", ("Pantry", "Sauces"), _ASIA, ("Light", "Dark"), ("250 ml", "500 ml"), 2.0),
    Kind("curry paste", "咖喱酱", ("Pantry", "Sauces"), _ASIA, ("Red", "Green"), ("200 g",), 2.7),
    Kind("coconut milk", "椰浆", ("Pantry", "Tins"), _ASIA, ("Classic", "Light"), ("400 ml",), 1.5),
    Kind("flour", "面粉", ("Pantry", "Baking"), _PANTRY, ("Plain", "Wholemeal"), _G, 1.2),
    Kind("sugar", "白糖", ("Pantry", "Baking"), _PANTRY, ("White", "Brown"), _G, 1.3),
    Kind("olive oil", "橄榄油", ("Pantry", "Oil"), _PANTRY, ("Extra Virgin", "Mild"), _ML, 6.5),
    Kind("tomatoes", "番茄", ("Produce", "Vegetables"), _FARM, ("Cherry", "Plum", "Vine"), _SMALL, 2.2, 6.0),
    Kind("salad", "沙拉", ("Produce", "Vegetables"), _FARM, ("Rocket", "Mixed Leaf"), ("120 g",), 1.6, 5.0),
    Kind("apples", "苹果", ("Produce", "Fruit"), _FARM, ("Gala", "Braeburn", "Green"), ("6 pack",), 2.3, 6.0),
    Kind("bananas", "香蕉", ("Produce", "Fruit"), _FARM, ("Fairtrade", "Small"), ("5 pack",), 1.3, 5.0),
    Kind("chicken", "鸡肉", ("Meat", "Poultry"), _FARM, ("Breast", "Thigh", "Whole"), _G, 5.4, 8.0),
    Kind("sausages", "香肠", ("Meat", "Pork"), _FARM, ("Classic", "Herb"), ("8 pack",), 3.4),
    Kind("tofu", "豆腐", ("Meat", "Plant Based"), _ASIA, ("Firm", "Silken", "Smoked"), ("300 g",), 2.1, 8.0),
    Kind("coffee", "咖啡", ("Drinks", "Coffee"), _DRINK, ("Espresso", "House Blend", "Decaf"), _BAG, 6.2, 14.0),
    Kind("coffee filters", "咖啡滤纸", ("Drinks", "Coffee"), _DRINK, ("Size 2", "Size 4"), ("80 pack",), 2.2),
    Kind("tea", "茶", ("Drinks", "Tea"), _DRINK, ("Breakfast", "Green", "Jasmine"), ("40 pack", "80 pack"), 2.9, 18.0),
    Kind("orange juice", "橙汁", ("Drinks", "Juice"), _DRINK, ("Smooth", "With Bits"), ("1 l",), 2.4, 6.0),
    Kind("sparkling water", "气泡水", ("Drinks", "Water"), _DRINK, ("Plain", "Lemon"), _PACK, 3.1, 7.0),
    Kind("beer", "啤酒", ("Drinks", "Beer"), _DRINK, ("Lager", "Pale Ale", "Alcohol Free"), _PACK, 7.9),
    Kind("crisps", "薯片", ("Snacks", "Crisps"), _SWEET, ("Sea Salt", "Paprika", "Vinegar"), ("150 g",), 1.8),
    Kind("salsa", "莎莎酱", ("Snacks", "Dips"), _PANTRY, ("Mild", "Hot"), ("300 g",), 2.2),
    Kind("chocolate", "巧克力", ("Snacks", "Chocolate"), _SWEET, ("Milk", "Dark", "Hazelnut"), ("100 g", "200 g"), 2.0),
    Kind("biscuits", "饼干", ("Snacks", "Biscuits"), _SWEET, ("Butter", "Ginger", "Oat"), ("300 g",), 1.9),
    Kind("ice cream", "冰淇淋", ("Frozen", "Ice Cream"), _SWEET, ("Vanilla", "Mango", "Cookie"), _ML, 3.9),
    Kind("dumplings", "饺子", ("Frozen", "Ready Meals"), _ASIA, ("Pork", "Vegetable", "Shrimp"), _G, 4.6),
    Kind("pizza", "披萨", ("Frozen", "Ready Meals"), _PIZZA, ("Margherita", "Funghi"), ("350 g",), 3.5),
    Kind("dish soap", "洗洁精", ("Household", "Cleaning"), _HOME, ("Lemon", "Sensitive"), _ML, 1.9, 25.0),
    Kind("laundry detergent", "洗衣液", ("Household", "Laundry"), _HOME, ("Colour", "Sensitive"), _LITRES, 6.8, 28.0),
    Kind("toilet paper", "卫生纸", ("Household", "Paper"), _HOME, ("Classic", "Recycled"), _ROLLS, 3.3, 14.0),
    Kind("shampoo", "洗发水", ("Care", "Hair"), _CARE, ("Daily", "Repair", "Baby"), ("250 ml", "500 ml"), 3.7, 28.0),
    Kind("toothpaste", "牙膏", ("Care", "Teeth"), _CARE, ("Mint", "Whitening"), ("75 ml",), 2.1, 24.0),
    Kind("toothbrush", "牙刷", ("Care", "Teeth"), _CARE, ("Soft", "Medium"), ("2 pack",), 2.6),
    Kind("nappies", "尿布", ("Baby", "Nappies"), _CARE, ("Size 3", "Size 4"), ("40 pack", "80 pack"), 9.4, 9.0),
    Kind("baby wipes", "婴儿湿巾", ("Baby", "Wipes"), _CARE, ("Sensitive", "Aloe"), ("64 pack",), 1.8),
    Kind("cat food", "猫粮", ("Pets", "Cat"), _PET, ("Chicken", "Salmon", "Kitten"), ("400 g", "2 kg"), 3.2, 8.0),
    Kind("cat litter", "猫砂", ("Pets", "Cat"), _PET, ("Clumping", "Wood"), ("5 l", "10 l"), 4.9, 12.0),
    Kind("dog food", "狗粮", ("Pets", "Dog"), _PET, ("Beef", "Puppy"), ("1 kg", "4 kg"), 5.6, 9.0),
)

COMPLEMENTS: tuple[tuple[str, str], ...] = (
    ("pasta", "pasta sauce"),
    ("coffee", "coffee filters"),
    ("rice", "curry paste"),
    ("curry paste", "coconut milk"),
    ("noodles", "soy sauce"),
    ("crisps", "salsa"),
    ("toothpaste", "toothbrush"),
    ("nappies", "baby wipes"),
    ("cat food", "cat litter"),
    ("flour", "sugar"),
)
"""(bought, bought with it): the second follows the first into the basket, not the other way round."""

CHINESE_WORDS = {
    "Whole": "全脂", "Organic": "有机", "Plain": "原味", "White": "白", "Brown": "糙", "Classic": "经典",
    "Strawberry": "草莓", "Vanilla": "香草", "Light": "清淡", "Dark": "浓", "Milk": "牛奶", "Green": "绿",
    "Jasmine": "茉莉", "Lemon": "柠檬", "Mint": "薄荷", "Pork": "猪肉", "Vegetable": "蔬菜", "Shrimp": "虾仁",
    "Chicken": "鸡肉", "Beef": "牛肉", "Salmon": "三文鱼", "Firm": "老", "Silken": "嫩", "Smoked": "烟熏",
    "Red": "红", "Egg": "鸡蛋", "Mango": "芒果", "Sensitive": "温和", "Mild": "微辣", "Hot": "特辣",
    "Butter": "黄油", "Soft": "软毛", "Free Range": "散养", "Daily": "日常", "Baby": "婴儿", "Sushi": "寿司",
}  # fmt: skip
"""Words of varieties that have a Chinese form; others stay as they are, as on real labels."""


def kinds(limit: int) -> tuple[Kind, ...]:
    """The first `limit` kinds (at least 4, so that a tiny world still has complements and rhythms)."""
    ends = [name for pair in COMPLEMENTS[:2] for name in pair]
    if limit >= len(_TABLE):
        return _TABLE
    first = [kind for kind in _TABLE if kind.name in ends]
    rest = [kind for kind in _TABLE if kind.name not in ends]
    return tuple((first + rest)[: max(limit, 4)])
