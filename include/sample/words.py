"""The vocabulary of the synthetic catalogue (`include.sample.write`): what its products are called and described with.

Titles and contents use different words on purpose: a title says "Fjord kettle with AquaLok", the content
"a water boiler in blue whose lid does not leak". The pairs are the same all over the catalogue, so a model
that is trained on it learns them, and a search by words alone cannot know them. Brands, trade names and
places are invented.
"""

from typing import NamedTuple


class Measure(NamedTuple):
    """A quantity: its values, how a title writes it, how a content does (`w` = value x factor, rounded)."""

    values: tuple[float, ...]
    title: str
    contents: tuple[str, ...]
    factor: float = 1.0


class Kind(NamedTuple):
    """A type of product: its name in titles, its names in contents, what it is for, its measure, its accessories."""

    name: str
    synonyms: tuple[str, ...]
    use: str
    measure: str
    accessories: tuple[str, ...]


class Category(NamedTuple):
    """A department of the shop.

    `materials` and `features` map the word of a title to what the content says instead; `brands` map a
    brand to the place that contents name instead of it.
    """

    name: str
    brands: dict[str, str]
    materials: dict[str, str]
    features: dict[str, str]
    facts: tuple[str, ...]
    kinds: tuple[Kind, ...]


COLOURS = {
    "Crimson": "red",
    "Nocturne": "black",
    "Polar": "white",
    "Fjord": "blue",
    "Moss": "green",
    "Saffron": "yellow",
    "Umber": "brown",
    "Orchid": "purple",
    "Blush": "pink",
    "Ash": "grey",
    "Tangerine": "orange",
    "Sterling": "silver",
    "Dune": "beige",
    "Lagoon": "turquoise",
}

MEASURES = {
    "litres": Measure(
        (0.5, 0.8, 1.2, 1.7, 2.5, 4, 6),
        "{v} L",
        ("It holds {v} litres.", "Its capacity is {w} fluid ounces."),
        33.8,
    ),
    "cm": Measure(
        (15, 20, 24, 30, 45, 60, 90),
        "{v} cm",
        ("It measures {v} centimetres from end to end.", "It is about {w} inches long."),
        0.394,
    ),
    "hours": Measure(
        (6, 8, 10, 12, 18, 24, 40),
        "{v}h",
        ("The battery lasts {v} hours.", "On one charge it runs for {v} hours."),
    ),
    "ages": Measure(
        (3, 4, 5, 6, 8, 10, 12),
        "{v}+",
        ("Suitable for ages {v} and up.", "Made for children from {v} years on."),
    ),
    "pages": Measure(
        (96, 128, 180, 224, 310, 420, 560), "", ("It has {v} pages.", "{v} pages, with an index at the end.")
    ),
    "tracks": Measure((8, 9, 10, 12, 14, 16, 20), "", ("{v} songs on one disc.", "The running order has {v} pieces.")),
    "kg": Measure(
        (0.9, 1.4, 2.2, 3.5, 5, 8, 12),
        "{v} kg",
        ("It weighs {v} kilograms.", "On the scales it is {w} pounds."),
        2.2,
    ),
    "watts": Measure((300, 450, 600, 800, 1000, 1400, 1800), "{v} W", ("The motor draws {v} watts.",)),
    "metres": Measure(
        (5, 10, 15, 20, 25, 30, 50), "{v} m", ("It reaches {v} metres.", "It is {w} feet in length."), 3.28
    ),
    "ml": Measure((30, 50, 75, 100, 150, 200, 400), "{v} ml", ("The bottle contains {v} millilitres.",)),
    "sizes": Measure(
        (36, 38, 40, 42, 44, 46, 48), "size {v}", ("Cut for European size {v}.", "The label says {v}; it runs true.")
    ),
    "screen": Measure(
        (6, 8, 10, 13, 15, 24, 32), '{v}"', ("The display is {v} inches across.", "A {w} centimetre display."), 2.54
    ),
}


def _kinds(*lines: str) -> tuple[Kind, ...]:
    """Read `name|synonym; synonym|use|measure|accessory, accessory` lines."""
    kinds = []
    for line in lines:
        name, synonyms, use, measure, accessories = line.split("|")
        kinds.append(Kind(name, tuple(synonyms.split("; ")), use, measure, tuple(accessories.split(", "))))
    return tuple(kinds)


CATEGORIES = (
    Category(
        "kitchen",
        {"Brunela": "Hallenbruck", "Kordwyn": "Petit-Marais", "Ostervik": "Lundvall", "Tamarro": "Val Serena"},
        {
            "inox": "rust-free steel",
            "borosilicate": "heat-proof glass",
            "bamboo": "fast-growing wood",
            "enamel": "glazed iron",
        },
        {
            "AquaLok": "The lid closes so tightly that nothing leaks.",
            "CoolGrip": "The handle never gets hot.",
            "WhisperBlade": "It works so quietly that nobody wakes up.",
            "AutoRest": "It switches itself off when it is done.",
            "PureCoat": "Food does not stick to it.",
            "NestFit": "Several of them stack inside one another.",
        },
        (
            "Dishwasher safe.",
            "Wash it by hand only.",
            "Works on induction hobs.",
            "Free of BPA.",
            "The warranty is two years.",
            "Not for the microwave.",
            "Oven proof up to 220 degrees.",
        ),
        _kinds(
            "kettle|water boiler; jug|boiling water for tea|litres|descaling tablets, spare lid",
            "espresso machine|coffee maker; barista appliance|strong coffee with crema|watts|portafilter, milk pitcher",
            "saucepan|cooking pot; casserole|sauces and soups|litres|glass lid, pan protector",
            "chef's knife|kitchen blade; cutter|slicing meat and vegetables|cm|sharpening steel, blade guard",
            "blender|liquidiser; smoothie mixer|crushing ice and fruit|watts|spare jar, sealing ring",
            "lunch box|food container; bento|taking a meal to work|litres|cutlery set, cool pack",
        ),
    ),
    Category(
        "books",
        {
            "Alma Renwick": "Harrow Lane Press",
            "Jonas Teller": "Kite & Anchor",
            "Mirela Costa": "Casa Lume",
            "P. D. Osgood": "Northgate House",
        },
        {
            "paperback": "soft covers",
            "hardcover": "a cloth binding",
            "spiral-bound": "pages that lie flat",
            "large print": "big letters",
        },
        {
            "Step by Step": "Every lesson builds on the one before.",
            "Illustrated": "Colour pictures explain what words cannot.",
            "Pocket Edition": "It is small enough for a coat.",
            "Workbook": "Exercises with solutions close each chapter.",
            "Classic": "Readers have returned to it for fifty years.",
            "Revised": "This printing brings the text up to date.",
        },
        (
            "Written for beginners.",
            "Written for advanced readers.",
            "With a glossary.",
            "The author has taught the subject for twenty years.",
            "A map is folded into the back cover.",
            "Reading time is about six hours.",
        ),
        _kinds(
            "Baking Bread|sourdough, loaves and rolls|patient home bakers|pages|proofing basket, study guide",
            "Growing Roses|pruning, soil and flowering shrubs|owners of small gardens|pages|journal, calendar",
            "The Night Sky|stars, planets and telescopes|amateur astronomers|pages|star chart, red torch",
            "Knitting Socks|wool, needles and heel patterns|evenings by the fire|pages|yarn kit, stitch markers",
            "Sailing Alone|knots, weather and small boats|skippers without a crew|pages|logbook, knot cards",
            "Chess Endings|kings, pawns and late-game tactics|club players|pages|travel board, puzzle cards",
        ),
    ),
    Category(
        "tools",
        {"Drakmoor": "Eisenau", "Fennic": "Port Galloway", "Stavrin": "Brno Vale", "Holtz & Ree": "Millbank"},
        {
            "chrome vanadium": "hardened alloy",
            "carbide": "very hard metal tips",
            "beech": "pale hardwood",
            "nylon": "tough plastic",
        },
        {
            "ShockLess": "Damping keeps vibration away from the wrist.",
            "TwinSpeed": "A switch selects a slow or a fast gear.",
            "SureBite": "The jaws do not slip off worn nuts.",
            "DustCatch": "A bag collects what it cuts away.",
            "BrightPoint": "A lamp shows where it works.",
            "SnapChange": "Accessories are swapped without a key.",
        },
        (
            "Delivered in a carrying case.",
            "The warranty is three years.",
            "Wear eye protection.",
            "Spare parts can be ordered for ten years.",
            "For left-handed and right-handed users.",
            "Not for use in the rain.",
        ),
        _kinds(
            "cordless drill|battery screwdriver; borer|holes in wood and masonry|hours|drill bit set, spare battery",
            "spanner set|wrenches; nut drivers|bolts on cars and bicycles|cm|tool roll, extension bar",
            "hand saw|wood cutter; carpenter's blade|boards and branches|cm|saw guard, sharpening file",
            "sander|surface grinder; smoothing machine|stripping paint from doors|watts|abrasive discs, dust bag",
            "ladder|folding steps; climbing frame|reaching ceilings and gutters|kg|stabiliser bar, tool tray",
            "clamp|vice; bench holder|gluing furniture|cm|protective pads, spare screw",
        ),
    ),
    Category(
        "music",
        {
            "The Lanternmen": "Quayside Records",
            "Ines Varga": "Blue Attic",
            "Orchestra Tivane": "Salle Verte",
            "Mock Harbour": "Tin Roof Tapes",
        },
        {
            "vinyl": "a black long-playing record",
            "CD": "a compact disc",
            "cassette": "a tape",
            "box set": "several discs in one case",
        },
        {
            "Live": "The audience can be heard between the pieces.",
            "Unplugged": "No amplifier was used.",
            "Remastered": "The old tapes were cleaned for this release.",
            "Anthology": "It gathers the best of three decades.",
            "Instrumental": "Nobody sings on it.",
            "Duets": "Two voices share every piece.",
        },
        (
            "Lyrics are printed in the booklet.",
            "Recorded in a single night.",
            "Includes a download code.",
            "The sleeve was painted by the drummer.",
            "Limited to five thousand copies.",
        ),
        _kinds(
            "Jazz Quartet|saxophone and double bass improvisation|late evenings|tracks|sheet music, tour poster",
            "Folk Songs|ballads with fiddle and guitar|long drives|tracks|songbook, concert film",
            "Piano Nocturnes|slow keyboard pieces|reading and rest|tracks|sheet music, biography",
            "Drum Machine Beats|electronic dance rhythms|parties|tracks|sample pack, remix single",
            "Choir Carols|sacred singing for winter|the holidays|tracks|score, concert film",
        ),
    ),
    Category(
        "garden",
        {"Greenholt": "Ashby Meadow", "Terravale": "Monte Oliva", "Wickstead": "Lower Fenn", "Botaniq": "Rijnhof"},
        {
            "galvanised": "zinc-coated metal",
            "terracotta": "baked clay",
            "teak": "oily hardwood",
            "recycled": "old plastic given a new life",
        },
        {
            "FrostGuard": "It may stay outside all winter.",
            "DripSense": "It stops watering when the soil is wet.",
            "KneeSaver": "You need not bend to use it.",
            "RootBreather": "Holes at the side let air in.",
            "FlexCoil": "It shrinks back when the tap is closed.",
            "SunShift": "It turns to follow the light.",
        },
        (
            "Rust is covered by the warranty for five years.",
            "Safe for pets.",
            "Assembly takes ten minutes.",
            "No tools are needed.",
            "Store it dry.",
            "Made for balconies as well.",
        ),
        _kinds(
            "garden hose|watering pipe; water line|lawns and beds|metres|spray nozzle, wall reel",
            "planter|flower pot; plant tub|herbs and shrubs|litres|saucer, plant caddy",
            "pruning shears|secateurs; branch cutters|roses and fruit trees|cm|holster, spare spring",
            "lawn mower|grass cutter; turf machine|lawns of any shape|watts|spare blade, grass box",
            "wheelbarrow|push cart; one-wheeled carrier|soil and leaves|kg|spare tyre, cover",
            "greenhouse|glasshouse; growing tent|early tomatoes|metres|shelf, automatic vent",
        ),
    ),
    Category(
        "toys",
        {"Tumblekin": "Puppenheim", "Zibbo": "Little Ferry", "Oakling": "Bear Hollow", "Marvelo": "Castel Gioco"},
        {"wooden": "smooth beech", "plush": "soft fur", "foam": "light spongy blocks", "tin": "painted sheet metal"},
        {
            "GlowMates": "It shines in the dark.",
            "SoftEdge": "It has no sharp corners.",
            "TalkBack": "It repeats what it hears.",
            "MagnaJoin": "Hidden magnets hold the pieces together.",
            "SplashProof": "It can be taken into the bath.",
            "QuickTidy": "Everything goes back into its bag.",
        },
        (
            "Contains small parts.",
            "Needs two AA batteries, not included.",
            "Painted with water-based colours.",
            "For two to four players.",
            "Machine washable.",
            "One game takes half an hour.",
        ),
        _kinds(
            "building blocks|construction bricks; stacking cubes|castles and towers|ages|base plate, storage bag",
            "teddy bear|cuddly animal; stuffed friend|bedtime|ages|tiny jacket, bear bed",
            "train set|railway; toy locomotive|the living room floor|ages|extra tracks, tunnel",
            "jigsaw puzzle|picture to piece together; brain teaser|rainy afternoons|ages|puzzle mat, glue sheets",
            "kite|wind flyer; sky sail|beaches and hills|ages|spare line, winder",
            "board game|family pastime; tabletop contest|game nights|ages|card sleeves, expansion",
        ),
    ),
    Category(
        "electronics",
        {"Voltane": "Shinmachi", "Kestrel Audio": "Glenarm", "Nuvexa": "Porto Alto", "Pixolar": "Tallbridge"},
        {
            "aluminium": "a light metal case",
            "carbon": "woven black fibre",
            "rubberised": "a shock-proof skin",
            "ceramic": "a scratch-proof shell",
        },
        {
            "HushWave": "It cancels the noise around you.",
            "RainShield": "Water cannot harm it.",
            "FlashCharge": "Ten minutes at the socket last for half a day.",
            "EverSync": "It connects to the phone by itself.",
            "NightEye": "It sees clearly after dark.",
            "OneTouch": "A single button does everything.",
        },
        (
            "Charges over USB-C.",
            "Pairs over Bluetooth 5.3.",
            "The warranty is two years.",
            "A charger is not included.",
            "Updates are free for five years.",
            "Works without an account.",
        ),
        _kinds(
            "headphones|earphones; over-ear listening set|music on the train|hours|carry case, ear pads",
            "speaker|sound box; loudspeaker|parties in the park|hours|wall mount, strap",
            "tablet|touch-screen computer; slate|reading and drawing|screen|stylus, folding cover",
            "camera|photo device; picture taker|holidays and portraits|hours|lens cap, memory card",
            "smart watch|wrist computer; fitness band|runs and swims|hours|spare strap, charging dock",
            "monitor|computer screen; desktop display|work at a desk|screen|desk arm, cable kit",
        ),
    ),
    Category(
        "clothing",
        {"Halden & Moor": "Skerry Isle", "Lunetta": "San Felice", "Northfell": "Ravensby", "Corvane": "Rue Basse"},
        {
            "merino": "fine sheep's wool",
            "denim": "sturdy blue cotton",
            "linen": "cool woven flax",
            "fleece": "fluffy warm fabric",
        },
        {
            "StormSeal": "Rain runs off it.",
            "PackAway": "It folds into its own pocket.",
            "FreshKnit": "It does not take on smells.",
            "StretchLine": "It gives way with every movement.",
            "TwoFace": "It can be worn inside out.",
            "SafeGlint": "It reflects the light of cars.",
        },
        (
            "Machine washable at 30 degrees.",
            "Do not tumble dry.",
            "Dry clean only.",
            "With two inside pockets.",
            "The cut is loose.",
            "The zip can be replaced.",
        ),
        _kinds(
            "jacket|coat; outer layer|wet autumn days|sizes|detachable hood, garment bag",
            "sweater|jumper; pullover|cold offices|sizes|elbow patches, wool comb",
            "trousers|slacks; long legwear|work and travel|sizes|belt, hem tape",
            "boots|ankle shoes; winter footwear|mud and snow|sizes|laces, shoe wax",
            "dress|gown; one-piece frock|summer weddings|sizes|sash, garment bag",
            "cap|peaked hat; headwear|sun and wind|sizes|chin cord, hat box",
        ),
    ),
    Category(
        "beauty",
        {"Solenne": "Mas d'Aubrac", "Verbaya": "Ilha Clara", "Petal & Stone": "Wren Abbey", "Kinoa Lab": "Aomura"},
        {
            "shea": "butter of an African nut",
            "aloe": "juice of a desert plant",
            "argan": "oil of Moroccan kernels",
            "clay": "fine mineral earth",
        },
        {
            "HydraDeep": "Dry skin stays moist all day.",
            "BareScent": "It has no perfume.",
            "SunVeil": "It protects from ultraviolet light.",
            "NightMend": "It works while you sleep.",
            "SilkRinse": "It washes out without a trace.",
            "CalmTouch": "Redness fades within minutes.",
        },
        (
            "Not tested on animals.",
            "Dermatologically tested.",
            "Avoid contact with the eyes.",
            "The bottle can be refilled.",
            "Suitable for sensitive skin.",
            "Use within twelve months of opening.",
        ),
        _kinds(
            "shampoo|hair wash; cleansing lather|curly and straight hair|ml|conditioner, refill pouch",
            "face cream|moisturiser; daily lotion|cheeks and forehead|ml|spatula, travel jar",
            "lip balm|mouth care; protective stick|wind and frost|ml|gift tin, lip scrub",
            "bath oil|tub essence; soaking drops|long evenings|ml|bath pillow, loofah",
            "perfume|fragrance; eau de toilette|special occasions|ml|atomiser, sample set",
        ),
    ),
    Category(
        "sports",
        {"Altiro": "Cima Rossa", "Brackwater": "Loch Arden", "Velowen": "Sint-Joris", "Pikeham": "Stonegate"},
        {
            "titanium": "a very light metal",
            "cork": "springy bark",
            "ripstop": "tear-proof cloth",
            "natural rubber": "tree sap",
        },
        {
            "AirVault": "Air flows through the back.",
            "GripZone": "Wet hands do not slide off.",
            "QuickPitch": "It stands in two minutes.",
            "FeatherLite": "You hardly notice that you carry it.",
            "LockStep": "It cannot come loose on the way.",
            "DryNest": "The inside stays dry in a storm.",
        },
        (
            "Tested at minus ten degrees.",
            "A repair kit is included.",
            "Suitable for beginners.",
            "Fits into hand luggage.",
            "Air dry after use.",
            "The warranty is five years.",
        ),
        _kinds(
            "tent|camping shelter; canvas dome|nights in the mountains|kg|ground sheet, spare pegs",
            "backpack|rucksack; hiking bag|day walks|litres|rain cover, hip belt",
            "yoga mat|exercise pad; gym underlay|stretching at home|cm|carry strap, cork block",
            "bicycle helmet|cyclist's head protection; hard hat|the way to school|cm|visor, spare padding",
            "sleeping bag|down quilt; outdoor bedding|cold nights|kg|liner, compression sack",
            "headlamp|forehead light; hands-free torch|running after dark|hours|spare band, charging cable",
        ),
    ),
    Category(
        "office",
        {
            "Quillmark": "Old Exchange",
            "Bordeaux & Finch": "Saint-Cyr",
            "Planora": "Westerkade",
            "Inkwell Bros": "Cooper Row",
        },
        {"walnut": "dark hardwood", "mesh": "open netting", "kraft": "strong brown paper", "brass": "yellow metal"},
        {
            "LumbarFlex": "It supports the lower back.",
            "SmoothGlide": "It never scratches.",
            "ClearView": "One glance shows the whole week.",
            "SitStand": "Its height changes at the push of a lever.",
            "NoBleed": "Ink does not show on the other side.",
            "CableNest": "Cords disappear inside.",
        },
        (
            "The warranty is ten years.",
            "Made of certified wood.",
            "Assembly takes half an hour.",
            "Refills are sold separately.",
            "Carries up to 120 kilograms.",
            "Delivered flat.",
        ),
        _kinds(
            "desk chair|swivel seat; working stool|long days at the screen|kg|arm rests, floor mat",
            "notebook|writing pad; paper journal|minutes and sketches|pages|pen loop, elastic band",
            "fountain pen|ink writer; nib instrument|signatures and letters|cm|ink cartridges, pen case",
            "desk lamp|reading light; table luminaire|paperwork at night|watts|spare bulb, clamp foot",
            "filing cabinet|document drawers; folder cupboard|contracts and invoices|kg|hanging folders, key set",
        ),
    ),
    Category(
        "pets",
        {"Pawsworth": "Collie Green", "Katzenruh": "Miauhausen", "Finnby": "Otter Quay", "Barkley Row": "Houndslow"},
        {
            "sisal": "rough natural rope",
            "memory foam": "padding that keeps its shape",
            "stoneware": "heavy fired clay",
            "canvas": "thick cotton cloth",
        },
        {
            "NoTip": "Even a large animal cannot knock it over.",
            "ChewSafe": "Teeth leave no mark on it.",
            "OdourOff": "Smells do not linger.",
            "SlowFeed": "Ridges make greedy eaters take their time.",
            "EasyZip": "The cover comes off in seconds.",
            "NightTag": "It can be seen from afar after dark.",
        },
        (
            "The cover is machine washable.",
            "For animals up to 20 kilograms.",
            "Dishwasher safe.",
            "Tested by a veterinary surgeon.",
            "Folds flat for the car.",
            "Replacement parts are available.",
        ),
        _kinds(
            "dog bed|canine resting place; hound mattress|tired dogs|cm|blanket, spare cover",
            "cat tree|feline climbing post; scratching tower|indoor cats|cm|toy mouse, wall bracket",
            "food bowl|feeding dish; eating vessel|two meals a day|litres|mat, measuring scoop",
            "leash|lead; walking line|walks in town|metres|bag dispenser, harness",
            "aquarium|fish tank; glass basin|small tropical fish|litres|filter pads, thermometer",
        ),
    ),
)
