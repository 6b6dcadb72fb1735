"""Sentences of the village stories that belong to one topic; one template on a line (see `world_grammar.py`)."""

OWN = {
    "animal": """
{^A?} gave the {T} [hay|carrots|some oats|clover|a biscuit] and fresh water, [and|which] the animal [swallowed|drank] \
at once.
The {T} [ran|trotted|scampered|hopped] across the yard and [sniffed at|licked|hid behind] {B}'s boots.
At night the {T} slept on straw, next to a~ {u=second} and her young.
"Does the {T} bite?" asked {B}. "No animal of mine bites," said {A}.
The {T} had escaped through a hole in the fence. {A} followed its footprints as far as the {landmark}.
{B} [built|repaired] a [cage|kennel|shelter|pen] for the {T}, and the animal crept in.
The vet examined the {T} from nose to tail. The animal was [healthy|young|pregnant|growing fast].
""",
    "fruit": """
{^A?} cut the {T} into slices and put sugar on the fruit.
"Shall we make jam from the {u=second.plural}?" asked {B}. "Yes, and juice from every other fruit," said {A}.
The {T} had grown on a low branch, in full sun. {B} tasted the fruit and licked sticky fingers.
A wasp buzzed round the {T}. It liked ripe fruit as well.
{B} made a [smoothie|sorbet|milkshake] with the {T} and [some|two] {u=second.plural}.
The harvest began in {month}. Fruit of all kinds, from {u=second.plural} to {w=third.plural}, was sold by the kilo.
There were vitamins in the {T}, the {official} said, as in any fruit.
""",
    "dish": """
The recipe for the {T} came from {A.his} grandmother. It needed [garlic|onions|pepper|parsley|butter] and an hour in \
the oven.
"Is dinner ready?" asked {B}. "The {T} is on the stove," said {A}. "It is my favourite dish."
{^A?} put the {T} on {number} plates and called everyone to supper.
{B} took a forkful of the {T} and [chewed|swallowed]. The dish was [still hot|made with herbs|full of garlic].
The {T} was on the menu every {day}. No other dish sold so [fast|often|well].
For lunch they had the {T}, and a~ {u=second} for dessert [was out of the question|made no sense].
A pinch of salt was missing from the {T}. {A} stirred, tasted the dish, and stirred again.
""",
    "tool": """
{^A?} needed the {T} to fix the [roof|fence|gate|shelf|bench]. With such a tool it took an hour.
"Hand me the {T}, please," said {A}. {B} [found|took] the tool from its hook on the wall.
Nails, planks and a~ {u=second} lay on the workbench. The {T} was the only tool missing.
{B} had borrowed the {T} in {month}. A tool like that is seldom returned.
The {T} slipped and made a dent in the [timber|plank|metal|doorframe]. {A} put the tool down.
They were building a [barn|hut|staircase|porch], and every tool was needed, even the {T}.
{^A?} kept the {T} in a toolbox with {number} other tools.
""",
    "instrument": """
{^A?} practised scales on the {T} for {number} hours. The instrument [sounded|was] a little flat.
"Can you play the {T}?" asked {B}. "It was my first instrument," said {A}, and played a [waltz|tune|march|melody].
The orchestra was tuning up. Someone played a~ {u=second}, and {A} answered on the {T}.
The audience clapped when the {T} began its solo. No other instrument was heard.
{B} hummed along while {A} played the {T}. The instrument had belonged to a famous band.
{B} took lessons on the {T} from a pianist. It is not an easy instrument.
At the concert, the {T} joined the {u=second} and the {w=third} in a [symphony|duet|ballad|hymn].
""",
    "garment": """
{^A?} put on the {T} and looked in the mirror. The garment fitted [well enough|at the shoulders|like a second skin].
"What size is the {T}?" asked {B}. "Medium, like every garment I have," said {A}.
There was a hole in the {T}. {A} took a needle and thread and darned the garment.
The {T} hung on the clothes line beside a~ {u=second}. Each garment dripped.
{B} washed the {T} in warm water, and the garment shrank.
It was cold, so {A} dressed in the {T}, two {u=second.plural} and a thick {w=third}.
The cloth of the {T} came from a [market|ship|weaver] in {town}. It made a fine-looking garment.
""",
    "vehicle": """
{^A?} started the {T} and turned left at the traffic lights. It was an old make of vehicle.
"How fast does the {T} go?" asked {B}. "No vehicle here goes faster," said {A}.
The {T} had run out of petrol. They pushed the vehicle to the side of the road.
A policeman stopped the {T} and asked for {A.his} licence. The vehicle had [no number plate|a flat tyre|a broken \
headlight].
{B} sat in the back of the {T} and fastened the seat belt. The vehicle [turned|set off] towards {town}.
The {T} was stuck in a traffic jam behind a~ {u=second} and a~ {w=third}. No vehicle moved.
{^A?} changed the oil of the {T} and pumped up its tyres. The vehicle was ready for the trip.
""",
    "flower": """
{^A?} put the {T} in a pot of soil and gave the flower a little water.
Bees and butterflies came to the {T}. The flower was [full of nectar|wide open|covered with pollen].
"May I pick the {T}?" asked {B}. "Leave that flower where it grows," said {A}.
{B} tied the {T} and [some|a few] {u=second.plural} into a bouquet. Every flower had a different scent.
The {T} opened in {month}, earlier than any other flower in the [bed|border|greenhouse].
The seeds of the {T} had come by post. {A} sowed one flower after another.
{B} pinned the {T} to a lapel. Such a flower is worn at weddings.
""",
    "toy": """
{^A?} played with the {T} on the floor until bedtime. The toy was [never|seldom] out of sight.
"Whose is the {T}?" asked {B}. "That toy belongs to all the children," said {A}.
The {T} had been a birthday present. {A} opened the parcel, and there was the toy.
The children quarrelled over the {T}, so {B} gave them a~ {u=second}. One toy was not enough.
{B} put the {T} back into the toy box, on top of a~ {u=second}.
The twins swapped the {T} for a~ {u=second} and a~ {w=third}. Now each toy had a new owner.
A wheel, a spring and some glue: {A} repaired the {T}, and the toy was as good as new.
""",
    "jewel": """
{^A?} kept the {T} in a velvet case. It was a jewel of {number} carats.
"Is the {T} real gold?" asked {B}. "Real gold, and a jewel of the queen's," said {A}.
A thief had tried to steal the {T}. Since then the jewel was locked in a safe.
{B} fastened the {T} in front of the mirror. The jewel caught the light.
The {T} had been in the family for generations, as had a~ {u=second}. No jewel was ever sold.
For {A.his} wedding {A} had bought a~ {u=second}. The {T} was the other jewel {A} owned.
The expert looked at the {T} through a lens. The jewel was [genuine|a fake|rare|from the Orient].
""",
    "container": """
{^A?} put [flour|rice|sand|sugar|old letters|coins] into the {T} and closed the container.
"What is inside the {T}?" asked {B}. "That container is for [flour|rice|sugar|grain]," said {A}.
{B} looked for something to keep the potatoes in. The {T} was the right container for them.
The {T} tipped over and everything spilled out. {A} set the container upright.
They stacked the {T} on a~ {u=second} and a~ {w=third}. Each container held {number} litres.
{B} tied a rope round the {T}. The container was too heavy for one person.
Something rattled in the {T}. {A} shook the container and listened.
""",
    "tree": """
{^A?} sat down under the {T} and leaned against the tree.
A {bird} had built its nest in the {T}. From that tree it flew to a~ {u=second}.
"How old is the {T}?" asked {B}. "That tree was here before the village," said {A}.
Lightning had struck the {T}, and half of the tree had burnt.
{B} raked the leaves under the {T}. In {month} the tree is [bare|covered with snow|full of birds].
The logs of the {T} were stacked in the yard. A tree like that gives firewood for a winter.
They hung a swing from the {T}. No other tree was strong enough, not even the {u=second}.
""",
}
