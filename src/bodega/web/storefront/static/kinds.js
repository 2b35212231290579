/**
 * Which shape suits a product? The first line whose word stands in its category or title, English or Chinese; the numbers
 * are the natural hue of things that have one (an apple is red) and of its second colour; packages take theirs from the brand.
 */

/** shape [hue [accent]], English words, Chinese words; from the particular to the general. */
const LINES = `
phone|phone,smartphone,iphone|手机,电话
laptop|laptop,notebook computer,macbook,tablet,computer|电脑,平板
headphones|headphone,earphone,earbud,headset,speaker|耳机,音箱
camera|camera,lens,film and camera|相机,镜头
gamepad|video game,console,controller,xbox,playstation,nintendo|游戏机,手柄
screen|tv,television,monitor,hdtv|电视,显示器
watch|watch,smartwatch|手表,腕表
battery 145|battery,batteries|电池
bulb 98 95|light bulb,lamp,lighting|灯
plug|electrical,charger,cable,adapter,electronics|充电,数据线,插座,电器
disc|dvd,cd,blu ray,music,audio,video,movie|光盘,唱片,电影,音乐
magazine|magazine,newspaper|杂志,报纸
book|book,bookstore,novel|书,小说
card 60 20|greeting card,gift card,postcard,envelope|贺卡,明信片,信封
pen|pen,pencil,stationery,school supply,school supplies,office,marker|笔,文具
diaper 225|diaper,wipe|尿布,纸尿裤
baby 215|baby food,baby formula,baby bottle,baby hbc,infant|婴儿,奶瓶
paw 45|dog,cat,pet,puppy,kitten|狗,猫,宠物
toothbrush|toothbrush|牙刷
tube|toothpaste,oral hygiene,cream tube,sunscreen,suntan,lotion,ointment,moisturizer,hand cream|牙膏,护手霜,防晒,乳液,面霜
lipstick 350|lipstick,makeup,mascara,cosmetic,nail polish,beauty|口红,唇膏,化妆,彩妆
comb 330|hair care accessory,hair care accessories,comb,brush|梳
bottle|shampoo,conditioner,hair care,body wash,bath,mouthwash,deodorant,shaving,hand soap,liquid soap|洗发,沐浴,护发
soap|soap|香皂,肥皂
pill|vitamin,analgesic,tablet,antacid,cold and flu,sinus,allergy,medicine,first aid,supplement,dietary aid,pain relief,laxative,eye and ear|维生素,药,保健,胶囊
spray|spray,cleaner,cleaning,household cleang,household clean,air care,bleach,disinfectant,insecticide|清洁,喷雾,消毒
brick|laundry,detergent,fabric softener,dishwash|洗衣,洗洁精
roll 220|tissue,paper towel,toilet paper,napkin,paper housewares,foil|纸巾,卫生纸,抽纸
box|trash,fd wraps,storage bag,feminine hygiene|垃圾袋,保鲜
candle 70 55|candle|蜡烛
broom 75 40|broom,mop|扫帚,拖把
pan 255 80|cookware,bakeware,kitchen,pan,plastic housewares,gadget|锅,厨具
tool 55 25|hardware,hammer,wrench,screwdriver|工具,五金
plant 140|potted plant,houseplant,plants,garden|植物,盆栽
flower 350 95|floral,flower,bouquet,rose,tulip,lily|花束,鲜花,玫瑰
ball 60|ball,football,basketball,fitness,sport|球,健身,运动
bike 200|bike,bicycle,cycling|自行车
sofa 28 55|sofa,furniture,chair,couch|沙发,家具,椅
toy 58 20|toy,game,doll,plush|玩具,玩偶
socks|sock,hosiery|袜
shoe|shoe,sneaker,boot,sandal|鞋
bagpurse|handbag,backpack,purse,luggage|包包,手提包,背包
dress|dress,skirt,gown|裙
shirt|shirt,apparel,jacket,sweater,clothing,jeans,pants,hoodie,domestic good|衬衫,衫,裤,外套
pizza 80 28|pizza|披萨
icecream 350 65|ice cream,sherbet,sherbt,popsicle,novelties,gelato|冰淇淋,雪糕
sandwich 62 28|sandwich,burger,hot dog bun,deli,subs|三明治,汉堡
cookie 60|cookie,biscuit,cones|饼干,曲奇
carton 40 20|chocolate milk|巧克力奶
chocolate 45 20|chocolate,cocoa|巧克力
candy 340|candy,candies,gum,lollipop,sweets|糖果,口香糖
muffin 55 340|muffin,cupcake,donut,doughnut,pastry,sweet goods,danish|松饼,甜甜圈,点心
cake 345 60|cake,pie,dessert,brownie,cheesecake|蛋糕,甜品,派
packet|chip,popcorn,pretzel,cracker,nut,nuts,jerky,crisps,trail mix|薯片,坚果,爆米花
box|cereal,oatmeal,granola,baking mix,dinner mx,dry mix,macaroni|麦片
jar|peanut butter,pnt btr,jelly,jam,honey,sauerkraut,kraut,pickle,relish,mayo,salsa,pasta sauce,baby food,spice,extract,olive|果酱,蜂蜜,花生酱,香料
bottle|ketchup,mustard,vinegar,oil,shortening,dressing,drsng,sauce,syrup,condiment,soy sauce|油,醋,酱油,调料
wine|wine,champagne,liquor,spirit,vodka,whiskey,rum|葡萄酒,白酒,红酒,酒
can|beer,ale,cola,soda,soft drink,energy drink,carbonated,sparkling,tonic|啤酒,可乐,汽水
cup 45 80|coffee,espresso,latte|咖啡
cup 140|tea,teas,matcha|茶
glass 60 20|smoothie,shake,milkshake,cocktail|奶昔
carton 85|juice,nectar,lemonade|果汁,橙汁
bottle 225|water,isotonic|矿泉水,水
carton 235|milk,creamer,half and half,buttermilk|牛奶,奶
tub|yogurt,yoghurt,margarine,sour cream,cottage,dip,hummus,pudding,tofu|酸奶,布丁,豆腐
butter 98 230|butter|黄油
egg 70 65|egg|蛋
cheese 92 75|cheese|奶酪,芝士
bowl 30 135|soup,stew,chili,broth,ramen|汤
pasta 25 85|pasta,noodle,spaghetti|面条,意面,面
tin|canned,can,tuna,shelf stable,bean,beans|罐头
sack|flour,sugar,rice,dry bn,baking need,dog food,cat food,grain,ice|面粉,大米,米,糖
sausage 25|sausage,hot dog,frank,bacon,lunchmeat,ham,salami|香肠,火腿,培根
drumstick 50|chicken,turkey,poultry,duck|鸡,鸭
meat 18|beef,steak,pork,lamb,veal,ribs|牛肉,猪肉,羊肉
shrimp 32 18|shrimp,crab,lobster,shellfish|虾,蟹
fish 225 40|fish,salmon,cod,tilapia|鱼
baguette 60|baguette,french bread,italian|法棍
bread 62|bread,bun,roll,bagel,toast,tortilla,loaf,dough|面包,吐司
banana 100 95|banana|香蕉
citrus 65|orange,lemon,lime,citrus,grapefruit,mandarin|橙,柠檬,橘,柚
berry 18 90|strawberry,strawberries,berry,berries,raspberry|草莓,莓
tomato 30 140|plum tomato,cherry tomato|小番茄
grape 310|grape,plum,cherry,cherries|葡萄,樱桃,李
carrot 55|carrot|胡萝卜
tomato 30 140|tomato,pepper|番茄,西红柿,辣椒
potato 75|potato,onion,yam|土豆,洋葱,红薯
mushroom 50|mushroom|蘑菇,菇
corn 98 95|corn|玉米
leaf 140|salad,lettuce,spinach,cabbage,broccoli,kale,herb,celery|菜
apple 115 140|pear,avocado,kiwi|梨,猕猴桃,牛油果
apple 24 140|apple,peach,melon,mango|苹果,桃`;

/** Departments and other wide words: only asked when nothing particular was found. */
const WIDE = `
gift 20 90|gift,seasonal,christmas,valentine,easter,halloween,party,wrap|礼品,礼物,礼盒
tube|oral hygiene,skin,facial,care,personal|护理,护肤
apple 24 140|fruit|果
leaf 140|vegetable,veg,produce,organics|蔬,菜
fish 225 40|seafood|海鲜
sausage 25|packaged meat|腊肉,腊肠
meat 18|meat|肉
carton 235|dairy|乳
bread 62|bakery,baked|烘焙
packet|snack|零食
jar|pantry,spread,condiments|酱,调味
bottle 235|drink,beverage|饮,水
pizza 80 28|frozen,frzn,refrigerated|冷冻
box|breakfast,brkfst|早餐
bowl 30 135|meal,entree,dinner,prepared,restaurant,main|主食
baby 215|baby|宝宝,母婴
pill|health,drug,drugstore,nutrition,pharmacy|健康,药
lipstick 350|cosmetics|美妆
spray|household,home care|家居,日用
paw 45|pets|宠
laptop|electronics,computers|数码
shirt|fashion,clothes|服装,服饰,衣
plant 140|outdoor|户外
tool 55 25|automotive,auto|汽车
sun 80|travel,leisure|旅行
groceries 70 24|grocery,food,packaged|食品`;

/** @typedef {{shape: string, hue?: number, accent?: number, test?: RegExp}} Kind */

/** @param {string} lines @returns {Kind[]} */
const read = (lines) => lines.trim().split("\n").map((line) => {
  const [name, english, chinese] = line.split("|");
  const [shape, hue, accent] = name.split(" ");
  const test = new RegExp(`\\b(?:${english.replaceAll(",", "|")})(?:e?s)?\\b|${chinese.replaceAll(",", "|")}`, "i");
  return { shape, hue: hue ? Number(hue) : undefined, accent: accent ? Number(accent) : undefined, test };
});
const particular = read(LINES);
const wide = read(WIDE);

/** The shape for a product: what its own category says, then its title, then wide words; a parcel when nothing does.
 * @param {string} title @param {string[]} category @returns {Kind} */
export function kindOf(title, category) {
  const leaf = category.at(-1) || "";
  const above = category.slice(0, -1).reverse().join(" ");
  for (const [kinds, text] of /** @type {[Kind[], string][]} */ ([[particular, leaf], [particular, title], [wide, leaf], [wide, title], [particular, above], [wide, above]])) {
    const kind = text && kinds.find((each) => each.test?.test(text));
    if (kind) return kind;
  }
  return { shape: "parcel" };
}
