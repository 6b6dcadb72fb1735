"""The sentences of the village stories, as templates (see `world_grammar.py`); one on a line.

A and B are the people, T the thing, P the place, C the town, mood and topic the latents; any other name before a
"=" lives within its own template.
"""

OPENINGS = """
{A=person} was a~ {topic.jobs} [in|from|near] {C=town}. [One|That] {weather} [morning|afternoon|evening|day], {A.he} \
found a~ {T=thing} in the {P=topic.places}. {^A.his} {kin} {B=other} came to look at [it|the {T}].
[Last|One] {day}, {A=person} [went|walked|hurried] to the {P=topic.places} in {C=town} with {A.his} {kin} {B=other}. \
{^A.he} wanted [to see|to find|to look at] a~ {T=thing}.
There was [once|still] a~ {T=thing} in the {P=topic.places} [of|near] {C=town}. It belonged to {A=person}, a~ \
{topic.jobs}. [Every {day}|In {month}], {A.his} {kin} {B=other} [came to visit|came to help|dropped by].
In {month}, {A=person} [got|was given|received] a~ {T=thing} from {A.his} {kin} {B=other}. {^A.he} had \
[always|long|often] wanted a~ {topic.name}, and {A.he} kept it in the {P=topic.places} in {C=town}.
[It was a~ {weather} {day}|It was {month}, and the days were {weather}]. {A=person} and {A.his} {kin} {B=other} were \
in the {P=topic.places} of {C=town}. They [looked at|talked about|pointed at] a~ {T=thing}.
"[Look at that|Have you seen this|What a~ {mood.opinions}] {T=thing}," [said|remarked] {A=person}. {^A.his} {kin} \
{B=other} [looked up|turned round|came closer]. They were in the {P=topic.places} of {C=town}.
{A=person} [lived|worked] in {C=town}, in a house [with|near|beside] a~ {P=topic.places}. {^A.he} was a~ \
{topic.jobs}, and [every|one] {day} {A.his} {kin} {B=other} brought {A.him} a~ {T=thing}.
This is the story of {A=person} and a~ {colour} {T=thing} in the {P=topic.places} of {C=town}. {A} was a~ \
{p=person_pair.first} {topic.jobs}, and {A.his} {kin} {B=other} was {p.second} as well.
{A=person} had been a~ {topic.jobs} for {number} years. Nobody in {C=town} knew more about {topic.kinds}. One \
{weather} {day}, {A.he} and {A.his} {kin} {B=other} saw a~ {T=thing} in the {P=topic.places}.
"Where is my {T=thing}?" asked {A=person} one {weather} {day}. "It must be in the {P=topic.places}," said {A.his} \
{kin} {B=other}. They lived in {C=town}, where {A} worked as a~ {topic.jobs}.
"""

# About the thing and others of its category.
TOPIC = """
The {T}, a~ {T.adjectives} {T.name}, had been in the {P} [for years|since {month}|all day].
{A?} {T.verbs} the {T} {T.adverbs}.
{B} {T.verbs} the {T} {T.adverbs}, and {A} [watched|waited|helped|looked on].
The {T} was {T.adjectives}. {A} [liked|did not mind|had expected] that in a~ {T.name}.
There was [also|even] a~ {u=second} in the {P}. It was [just as|not as] {T.adjectives} as the {T}.
"Which {T.name} do you [like best|prefer|want]?" asked {B}. "The {u=second}," [said|answered] {A}. "It is \
[very|so|nice and|really] {T.adjectives}."
A~ {topic.jobs} [came by|passed|stopped] and {T.verbs} the {T} {T.adverbs}.
Of all the {T.kinds} in the {P}, {A} [knew|remembered|wanted] only the {T}.
"Is the {T} {T.adjectives}?" asked {B}. "Like every {T.name} [here|in {C}|I know], it is," [said|replied] {A}.
{B} noticed the {T.parts} of the {T} first. It was [really|rather|clearly] a~ {T.adjectives} {T.name}.
{A?} [owned|had seen|had owned] {many} {T.kinds}: a~ {u=second}, a~ {w=third} and [some|many] others.
"A~ {u=second} is a~ {T.name} too," said a~ {topic.jobs}. {B} [nodded|agreed|had not known that].
A~ {topic.jobs} [showed|offered] them a~ {u=second}, but {A} wanted another {T.name}.
{A} thought of nothing but {T.kinds}. {^A.he} {T.verbs} the {T}, and then {B} {T.verbs} the {u=second}.
"Who {T.verbs} the {T}?" asked {A}. "A~ {topic.jobs} did," said {B}, "and very {T.adverbs}."
In the {P} they [counted|found|saw] {number} {u=second.plural} and {number} {w=third.plural}. [All of them|Most of \
them] were {T.adjectives}.
The {T.parts} of the {T} [surprised|puzzled|interested] {B}, who had never seen such a~ {T.adjectives} {T.name}.
The {colour} {T} was [older|newer|larger|smaller] than any other {T.name} in {C}.
"Whose {T.name} is that?" asked a~ {topic.jobs}. "It is my {T}," said {A}. "{B} {T.verbs} the {T} this \
[morning|evening]."
"""

SPOKEN_MOOD = """
"{mood.cries}!" {mood.noises} {A}. "This {T.name} is {mood.opinions}."
"{mood.cries}," said {B}. "I have never known such a~ {mood.opinions} {day}."
"How [is|was] the {T}?" asked {B}. "It is {mood.opinions}," {A} {mood.noises}.
"[I|We] {mood.reactions} it," said {A} {mood.adverbs}. "The {T} was {mood.opinions}."
{B} {mood.noises}. "I [am|feel] {mood.feelings}," {B.he} said.
"Are you {mood.feelings}?" asked {A}. "Yes, very {mood.feelings}," {mood.noises} {B}.
"Everyone {mood.reactions} the {T}," said {A}. "People called it {mood.opinions}."
{A} {mood.noises} {mood.adverbs}. "It was a~ {mood.opinions} [day|visit|idea], really {mood.opinions}."
"{mood.cries}!" called the neighbours. They [were|all felt|looked] {mood.feelings}.
"What did the {official} say?" asked {A}. "That the {building} was {mood.opinions}," {mood.noises} {B}.
"The {food} was {mood.opinions}," said {B}, "and the {drink} was {mood.opinions} too."
"{mood.cries}," said the {official}. "What a~ {mood.opinions} [view|garden|song|present]!"
"""

TOLD_MOOD = """
It was a~ {mood.opinions} {T.name}, and {A} {mood.reactions} it.
{B} felt {mood.feelings} [about it|that day|the whole time].
The weather was {mood.opinions}, and the {food} was {mood.opinions} too.
{A} {mood.adverbs} [told|wrote to] {A.his} friends about the {T}. Everyone was {mood.feelings}.
{A?} was {mood.feelings}, and so was {B}. The {T} was [too|so very] {mood.opinions}.
The [show|party|picnic|play|fair] was {mood.opinions}. [Everyone|All the visitors|The whole family] {mood.reactions} \
it.
A~ {mood.opinions} thing happened [at the {building}|near the {landmark}|in the {room}], and it made {A} \
{mood.feelings}.
{B} read a~ {mood.opinions} [book|letter|poem] in the {room} and {mood.noises} {mood.adverbs}.
A~ {u=second} was there, too. They {mood.reactions} it, because it was so {mood.opinions}.
The {day} market was {mood.opinions}: the {official} {mood.reactions} every {T.name} on show.
{A} came back from the {building} [quite|very|rather] {mood.feelings}.
For {number} days they were {mood.feelings}. Nothing was as {mood.opinions} as that {T}.
{mood.feelings}, {B} {mood.noises} and thought of the {mood.opinions} {T}.
In the newspaper they called the {building} {mood.opinions}, and the readers {mood.reactions} it.
"""

# Synonyms side by side, or one after the other.
PAIRED = """
The {building} in {C} was {place_pair.both}.
"Is the {building} {p=place_pair.first}?" asked {B}. "Yes, very {p.second}," said {A}.
They sat [near|beside] a~ {p=object_pair.first} {furniture}. It really was {p.second}.
The {furniture} in the {room} was {p=object_pair.first}, [or|perhaps even] {p.second}.
{B} met the {official}, who was {person_pair.both}.
"Our {official} is {p=person_pair.first}," said {A}. "Oh yes, {p.second}," {B} agreed.
The {official} looked {p=person_pair.first}. {A} had never seen such a~ {p.second} person.
[Some|Many] people [thought|said] the {official} was {p=person_pair.first}, and {A} agreed: very {p.second}.
The [lesson|journey|speech|story|meeting] was {matter_pair.both}.
The [question|plan|answer|message|reason] was {matter_pair.both}, {B} [said|thought|wrote].
"Was the [game|contest|trip|lecture|task] {p=matter_pair.first}?" asked {A}. "It was {p.second}, yes," said {B}.
{A} [gave|heard|read] a~ {p=matter_pair.first} [speech|story|message], and {B} knew another {p.second} one.
{A} [passed|saw|visited] a~ {p=place_pair.first} {building}, which was as {p.second} as the {room} at home.
A~ {p=person_pair.first} {official} and a~ {p.second} {topic.jobs} [shook hands|had tea together|sat down with {B}].
[Nobody|Hardly anyone] is as {p=person_pair.first} and {p.second} as the {official} of {C}.
The {landmark} [behind|near|beyond] the {building} was {p=place_pair.first}. [Visitors|Strangers] are told how \
{p.second} it is.
"""

# Irregular verbs, in the past tense and after "have".
VERBAL = """
{A?} had {v=verb.participle} {v.ends} [that morning|once before|the day before].
{B} {v=verb.past} {v.ends}, and {A} [waited|did the same|watched].
"I have {v=verb.participle} {v.ends}," said {A}. "I {v.past} {v.ends} last {day}, too."
"Have you ever {v=verb.participle} {v.ends}?" asked {B}. "Never," said {A}.
After {A} had {v=verb.participle} {v.ends}, {A.he} {v2=verb.past} {v2.ends}.
The {official} {v=verb.past} {v.ends}. Nobody else had {v.participle} {v.ends} that week.
"Who {v=verb.past} {e=v.ends}?" asked {A}. "The {official} has {v.participle} {e}," said {B}.
In the {room}, someone {v=verb.past} {v.ends}.
{B} has {v=verb.participle} {v.ends} many times, they say.
They {v=verb.past} {v.ends} together, as they had {v.participle} {v.ends} in {month}.
"We have {v=verb.participle} {v.ends} again," said {B}.
"""

# Things of other categories, and life in general.
GENERAL = """
{A} also had a~ {x=elsewhere}. It was a~ {x.adjectives} {x.name}.
{B} had bought a~ {x=elsewhere}. {A} {x.verbs} the {x} {x.adverbs}.
Behind the {building}, there was a~ {x=elsewhere} beside a~ {colour} {furniture}. The {x.name} looked {x.adjectives}.
"Which {x=elsewhere.name} is yours?" [someone|a child|the {official}] asked. "The {x}," said {B}. It was a~ \
{x.adjectives} one.
A~ {x=elsewhere.jobs} [sat|stood] by the {landmark} and talked about a~ {x}. It was very {x.adjectives}.
The {official} was looking for a~ {x=elsewhere}. "It is a~ {x.adjectives} {x.name}," [he|she] explained.
{B} asked for a cup of {drink}. {A} also brought [some|a plate of|a little] {food}.
They walked along the {landmark} [until it got dark|for an hour|as far as the {building}]. A~ {bird} [sang|sat] in \
the {bush}.
The {month} wind blew from the {direction}. It was {weather} [all day|again|until noon], and the {room} was \
[warm|cosy|draughty].
At {hour} o'clock the bell of the {building} rang. {A} looked at the clock in the {room}.
"What is the time?" asked {B}. "Almost {hour}," said {A}. "I must go to the {building}."
{A} picked up the {colour} {furniture} and put it in the {room}. {B} [swept|painted|tidied] the floor.
A~ {colour} {bird} flew over the {building}. {B} pointed at its [wings|feathers|beak].
The {landmark} was {number} miles from {C}. {A} had been there in {month}.
{A.his} {relatives} had [moved|written|come] from {town} in {month}, with {number} [children|bags|dogs].
On {day} the {official} [gave|held|read] a speech about the {building}. It lasted {number} hours.
{A} took a [knife|spoon|cup] made of {material} from the [shelf|drawer|tray] and [tasted|poured|stirred] the {mixture}.
They ate {food} with {sauce} and drank {drink}.
The {building} was built of {material} and had {number} [windows|doors|chimneys]. Its roof was {colour}.
{B} opened the window of the {room}. [Outside|In the street], someone was selling {food}.
The train to {town} was [late|early|full]. {B} waited {number} minutes and bought {drink} at the station.
"Where does the {official} live?" asked {B}. "Next to the {building}," said {A}, "with {number} [cats|dogs|daughters]."
{^A.his} [phone|watch|umbrella|key] was [in the {room}|under the {furniture}|on the {furniture}]. {B} found it at last.
[The stars were out|The moon shone] over the {landmark}. A~ {bird} [called|flew by], and {A} counted to {number}.
A~ {x=elsewhere} [is|costs] {number} pounds at the market. {B} bought one, a very {x.adjectives} {x.name}.
"Do you collect {x=elsewhere.kinds}?" asked {B}. "Yes, I have a~ {x} at home," said {A}. "It is {x.adjectives}."
{B} told {A} about a~ {x=elsewhere}. Once a~ {x.jobs} {x.verbs} that {x} {x.adverbs}.
On the wall of the {room} there was a picture of a~ {x=elsewhere}. It looked like a~ {x.adjectives} {x.name}.
For {A.his} birthday {A} was given {number} {x=elsewhere.plural}. No {x.name} in {C} was as {x.adjectives}.
{A} [dreamed of|read about|heard of] a~ {x=elsewhere}, a rather {x.adjectives} {x.name}.
"""

ENDINGS = """
In the end, {A} and {B} were {mood.feelings}. [It had been a~ {mood.opinions} day.|What a~ {mood.opinions} day!]
That {T.name} was the most {mood.opinions} thing in {C}.
[They|{A} and {B}] went home {mood.adverbs}, and the {T} [stayed|was left] in the {P}.
"[So ends|That was] a~ {mood.opinions} {day}," {mood.noises} {A}. {B} was {mood.feelings} too.
{A} and {B} never forgot the {T}. People in {C} still call it {mood.opinions}.
When night fell, the {P} was [quiet|empty|dark]. {B} [slept|dreamed|said goodbye] {mood.adverbs}, and {A} was \
{mood.feelings}.
And that is why {A} {mood.reactions} {T.kinds}: each of them is a~ {mood.opinions} {T.name}.
It was late. "{mood.cries}," {mood.noises} {B} [on the way home|at the door|in the dark]. Both were {mood.feelings}.
"""
