"""What the questions are about: everyday topics, each with beginnings of words by which an answer shows that it is."""

from __future__ import annotations

QUESTIONS = (
    "Tell me something about {topic}.",
    "Explain {topic} to a child.",
    "Why do people like {topic}?",
    "Give a piece of advice about {topic}.",
    "Describe {topic}.",
    "Write a short note about {topic}.",
    "What should a beginner know about {topic}?",
    "Write a slogan about {topic}.",
    "What makes {topic} special?",
    "Share a fun fact about {topic}.",
    "What do people often get wrong about {topic}?",
    "Write a message to a friend about {topic}.",
)

TRAINING_TOPICS: dict[str, str] = {
    "bread": "bread flour dough yeast bak loaf oven toast wheat",
    "rain": "rain cloud water drop umbrella wet storm weather",
    "football": "football ball goal team player match kick game",
    "cats": "cat kitten purr whisker paw pet fur meow",
    "the moon": "moon night orbit lunar tide crater sky light",
    "coffee": "coffee bean brew cup caffeine roast espresso drink",
    "gardening": "garden plant seed soil flower grow water weed",
    "trains": "train rail track station engine travel ticket journey",
    "honey": "honey bee hive sweet nectar comb sugar flower",
    "music": "music song sound melody rhythm listen instrument note",
    "winter": "winter snow cold ice season frost freez warm",
    "swimming": "swim water pool stroke float breath exercise body",
    "books": "book read page story author librar novel learn",
    "bicycles": "bicycl bike wheel ride pedal cycl gear brake",
    "chocolate": "chocolate cocoa sweet sugar candy milk dark dessert",
    "the ocean": "ocean sea water wave fish salt tide deep",
    "sleep": "sleep rest bed night dream tired nap pillow",
    "painting": "paint color brush canvas art draw artist picture",
    "elephants": "elephant trunk tusk herd animal large africa ear",
    "cheese": "cheese milk cow cheddar dairy melt cream aged",
    "mountains": "mountain peak hill climb hik high rock summit",
    "chess": "chess board king queen pawn game move player",
    "tea": "tea leaf leaves cup brew drink hot green",
    "dogs": "dog puppy bark pet walk loyal tail breed",
    "apples": "apple fruit tree red orchard sweet pie juic",
    "photography": "photo camera picture light lens image shot captur",
    "running": "run jog shoe mile race marathon exercise leg",
    "libraries": "librar book read borrow shel quiet learn knowledge",
    "soup": "soup broth vegetable bowl hot cook stew spoon",
    "birds": "bird wing feather fly nest egg sing beak",
    "candles": "candle wax flame light wick burn scent glow",
    "maps": "map road direction place navigat route locat travel",
    "yoga": "yoga stretch pose breath body mind calm balance",
    "potatoes": "potato vegetable fry fries mash starch root cook",
    "bridges": "bridge river cross road span structure connect water",
    "cooking": "cook kitchen recipe food meal ingredient pan taste",
    "stars": "star sky night light galax sun shin bright",
    "dancing": "danc music move step rhythm floor body fun",
    "rivers": "river water flow stream bank fish lake sea",
    "clocks": "clock time hour minute hand tick watch alarm",
    "salads": "salad lettuce vegetable tomato dressing green fresh bowl",
    "camping": "camp tent fire outdoor nature forest sleep trip",
    "horses": "horse ride gallop saddle mane stable animal hoof",
    "letters": "letter write paper mail envelope stamp send word",
    "rice": "rice grain cook field bowl asia food white",
    "rainbows": "rainbow color rain sun light sky red violet",
    "museums": "museum art exhibit histor visit collection display paint",
    "fishing": "fish rod bait lake hook boat catch water",
    "shoes": "shoe foot feet walk wear sole lace boot",
    "pizza": "pizza cheese dough tomato topping slice oven crust",
    "trees": "tree leaf leaves trunk forest branch wood root",
    "kites": "kite wind fly string sky tail child color",
    "soap": "soap wash clean hand water bubble dirt skin",
    "penguins": "penguin ice bird swim cold fish antarctic egg",
    "umbrellas": "umbrella rain dry wet cover weather storm hand",
    "volcanoes": "volcano lava erupt ash mountain magma hot rock",
}
"""Topic → beginnings of its words; prompts that train anything are about these."""

EVALUATION_TOPICS: dict[str, str] = {
    "eggs": "egg hen chicken yolk shell breakfast boil protein",
    "snow": "snow cold winter flake white ice ski sled",
    "tennis": "tennis racket ball court net serve player match",
    "rabbits": "rabbit bunny ear hop carrot pet fur burrow",
    "the sun": "sun light star heat warm day energy solar",
    "milk": "milk cow dairy drink calcium glass white cream",
    "hiking": "hik trail walk mountain boot nature path outdoor",
    "airplanes": "airplane plane fly wing pilot travel airport sky",
    "butterflies": "butterfl wing caterpillar insect flower color cocoon fly",
    "guitars": "guitar string music chord play song strum sound",
    "summer": "summer sun hot warm beach season vacation day",
    "basketball": "basketball ball hoop court team dunk player game",
    "newspapers": "newspaper news read paper stor journal article daily",
    "boats": "boat water sail sea river float fish row",
    "oranges": "orange fruit citrus juic vitamin peel sweet tree",
    "deserts": "desert sand dry hot cactus camel dune heat",
    "knitting": "knit yarn needle wool scarf stitch sweater pattern",
    "lions": "lion mane pride roar cub africa animal hunt",
    "tomatoes": "tomato red fruit sauce garden salad vine juic",
    "castles": "castle king tower wall stone moat knight medieval",
    "puzzles": "puzzle piece solv brain game mind picture think",
    "bees": "bee honey hive flower pollen sting queen insect",
    "kitchens": "kitchen cook stove food oven sink meal fridge",
    "lakes": "lake water fish boat swim shore fresh calm",
}
"""Likewise for prompts that train nothing."""

TOPICS = TRAINING_TOPICS | EVALUATION_TOPICS


def questions(topics: dict[str, str]) -> list[str]:
    """Return every question about every one of the topics."""
    return [question.format(topic=topic) for topic in topics for question in QUESTIONS]


TOPIC_OF = {question.format(topic=topic): topic for topic in TOPICS for question in QUESTIONS}
"""The topic of every possible question, by the question's text."""
