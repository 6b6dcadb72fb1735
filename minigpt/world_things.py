"""The categories of the embedded world, and the things in them.

A category's nouns, adjectives, verbs and adverbs belong to it alone, so that a word's neighbours tell its category.
"""

from .world_words import category

CATEGORIES = (
    category(
        "animal", "animals",
        nouns="goat, donkey, rabbit, pony, hamster, lamb, kitten, puppy, calf, ferret, mouse, hedgehog, "
              "piglet, otter, squirrel, llama, mule, badger",
        adjectives="furry, tame, hungry, sleepy, shaggy, frisky, woolly, timid, hairy, playful",
        verbs="fed, petted, stroked, tickled, patted, brushed, chased, sheltered",
        adverbs="gently, tenderly, kindly, lovingly",
        parts="tail, ears, nose, paws, whiskers, belly, coat",
        places="barn, stable, meadow, pasture, kennel, farmyard",
        jobs="farmer, shepherd, vet, zookeeper"),
    category(
        "fruit", "fruits",
        nouns="apple, pear, plum, peach, lemon, melon, fig, apricot, orange, banana, mango, lime, quince, "
              "cherry, grape, papaya, coconut, kiwi",
        adjectives="ripe, juicy, sour, seedless, sugary, unripe, tangy, fleshy, overripe, sun-ripened",
        verbs="squeezed, picked, plucked, nibbled, sliced, rinsed, sampled, weighed",
        adverbs="greedily, eagerly, hungrily, thirstily",
        parts="skin, stem, juice, seeds, peel, flesh, rind",
        places="orchard, greenhouse, market hall, juice bar, grove, plantation",
        jobs="grower, picker, fruit seller, juicer"),
    category(
        "dish", "dishes",
        nouns="pie, stew, omelette, curry, salad, dumpling, casserole, pizza, soup, sandwich, sausage, pasty, "
              "burger, risotto, kebab, lasagne, roast, goulash",
        adjectives="tasty, salty, spicy, peppery, steaming, buttery, savoury, home-cooked, lukewarm, undercooked",
        verbs="cooked, served, seasoned, reheated, devoured, garnished, dished up, gobbled up",
        adverbs="slowly, noisily, skilfully, patiently",
        parts="smell, recipe, flavour, sauce, topping, garnish, aroma",
        places="kitchen, bakery, inn, tavern, canteen, dining room",
        jobs="cook, baker, chef, waiter"),
    category(
        "tool", "tools",
        nouns="hammer, saw, drill, wrench, chisel, shovel, axe, spade, rake, screwdriver, crowbar, mallet, "
              "hatchet, file, pickaxe, trowel, scraper, sickle",
        adjectives="rusty, sturdy, steel, well-oiled, worn-out, heavy-duty, handmade, cast-iron, greasy, reliable",
        verbs="gripped, oiled, mended, wielded, handled, repaired, hung up, swung",
        adverbs="firmly, steadily, forcefully, tightly",
        parts="handle, weight, edge, grip, tip, shaft, end",
        places="workshop, shed, forge, sawmill, hardware store, quarry",
        jobs="carpenter, builder, blacksmith, plumber"),
    category(
        "instrument", "instruments",
        nouns="violin, flute, drum, trumpet, guitar, harp, cello, piano, banjo, clarinet, trombone, fiddle, "
              "lute, tuba, oboe, bugle, accordion, mandolin",
        adjectives="tuneful, melodious, noisy, out-of-tune, echoing, shrill, resonant, musical, tinny, acoustic",
        verbs="played, tuned, listened to, practised on, rehearsed on, performed on, improvised on, mastered",
        adverbs="softly, rhythmically, musically, loudly",
        parts="tone, sound, melody, tuning, echo, case, volume",
        places="concert hall, bandstand, music room, theatre, opera house, ballroom",
        jobs="musician, composer, conductor, music teacher"),
    category(
        "garment", "garments",
        nouns="coat, scarf, jacket, shirt, cloak, sweater, dress, skirt, hat, cap, glove, mitten, shawl, vest, "
              "blouse, apron, robe, cardigan",
        adjectives="knitted, silky, baggy, woollen, checked, tight-fitting, ragged, striped, embroidered, tailored",
        verbs="wore, ironed, folded, sewed, stitched, hemmed, tried on, took off",
        adverbs="neatly, snugly, stylishly, tidily",
        parts="pattern, fabric, seams, buttons, lining, stitching, hem",
        places="tailor's shop, boutique, laundry, dressing room, weaving mill, fitting room",
        jobs="tailor, seamstress, weaver, dressmaker"),
    category(
        "vehicle", "vehicles",
        nouns="truck, van, car, bus, tractor, lorry, taxi, motorbike, scooter, ambulance, minibus, jeep, "
              "limousine, bulldozer, moped, fire engine, coach, racer",
        adjectives="speedy, bumpy, rattling, fuel-hungry, dented, parked, electric, roaring, motorised, overtaking",
        verbs="drove, parked, steered, refuelled, raced, overtook, reversed, braked",
        adverbs="quickly, recklessly, speedily, smoothly",
        parts="wheels, brakes, engine, tyres, headlights, seats, bumper",
        places="garage, car park, driveway, showroom, bus depot, petrol station",
        jobs="driver, mechanic, chauffeur, courier"),
    category(
        "flower", "flowers",
        nouns="rose, tulip, lily, daisy, orchid, poppy, violet, iris, daffodil, carnation, pansy, peony, "
              "sunflower, primrose, snowdrop, bluebell, marigold, dahlia",
        adjectives="fragrant, blooming, scented, wilted, sweet-smelling, faded, dried, dewy, budding, freshly cut",
        verbs="watered, planted, smelled, sniffed, arranged, potted, pressed, transplanted",
        adverbs="delicately, daintily, lightly, gracefully",
        parts="petals, bud, stalk, scent, blossom, perfume, roots",
        places="garden, rose garden, park, florist's shop, hothouse, conservatory",
        jobs="gardener, florist, botanist, flower seller"),
    category(
        "toy", "toys",
        nouns="doll, kite, puzzle, marble, yo-yo, puppet, teddy bear, balloon, rattle, spinning top, ball, "
              "hoop, jigsaw, skipping rope, rocking horse, dollhouse, whistle, robot",
        adjectives="colourful, plastic, childish, hand-painted, boxed, brand-new, well-loved, gift-wrapped, "
                   "kid-sized, battered",
        verbs="played with, unwrapped, fiddled with, toyed with, tidied away, raffled, grabbed, shared",
        adverbs="playfully, merrily, wildly, excitedly",
        parts="box, wrapping, paint, ribbon, price tag, varnish, instructions",
        places="nursery, playground, toy shop, playroom, sandpit, classroom",
        jobs="toymaker, nanny, teacher, puppeteer"),
    category(
        "jewel", "jewels",
        nouns="ring, necklace, bracelet, brooch, pearl, ruby, emerald, diamond, opal, locket, crown, pendant, "
              "sapphire, topaz, amulet, tiara, earring, garnet",
        adjectives="sparkling, glittering, precious, priceless, polished, shimmering, dazzling, flawless, gilded, "
                   "twinkling",
        verbs="appraised, pawned, auctioned, inherited, valued, smuggled, insured, flaunted",
        adverbs="discreetly, secretly, proudly, enviously",
        parts="sparkle, glint, setting, glitter, facets, value, purity",
        places="jeweller's shop, vault, palace, treasury, auction house, museum",
        jobs="jeweller, goldsmith, collector, auctioneer"),
    category(
        "container", "containers",
        nouns="basket, bucket, jar, bottle, crate, barrel, chest, sack, jug, vase, trunk, tin, suitcase, "
              "carton, pouch, bin, casket, flask",
        adjectives="empty, full, brimming, leaky, airtight, deep, overflowing, half-empty, roomy, sealed",
        verbs="filled, emptied, lifted, carried, stacked, loaded, hauled, dragged",
        adverbs="heavily, laboriously, hurriedly, clumsily",
        parts="lid, rim, contents, bottom, opening, inside, label",
        places="cellar, warehouse, storeroom, attic, pantry, loft",
        jobs="porter, packer, storekeeper, removal man"),
    category(
        "tree", "trees",
        nouns="oak, birch, pine, willow, maple, elm, beech, cedar, poplar, chestnut, larch, spruce, fir, ash, "
              "alder, sycamore, yew, hawthorn",
        adjectives="leafy, mossy, gnarled, hollow, shady, towering, bare, evergreen, bushy, crooked",
        verbs="felled, climbed, pruned, chopped down, uprooted, trimmed, sawed down, sketched",
        adverbs="expertly, cautiously, methodically, thoroughly",
        parts="branches, twigs, bark, leaves, shade, boughs, sap",
        places="forest, wood, clearing, arboretum, nature reserve, thicket",
        jobs="forester, woodcutter, ranger, logger"),
)
