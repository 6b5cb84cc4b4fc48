"""Words that the made-up reviews are written with: what is judged, and the words that judge.

Everything here is plain data. An aspect that starts with ``*`` is a plural ("the waiters were").
A verb is written ``infinitive|past``.
"""

POSITIVE = 1
NEGATIVE = -1


def _words(text: str) -> tuple[str, ...]:
    """Gives the comma-separated entries of a block of text."""
    return tuple(" ".join(entry.split()) for entry in text.split(",") if entry.strip())


# Adjectives by the kind of thing that they can be said of; "any" fits everything.
ADJECTIVES = {
    "any": {
        POSITIVE: _words("""
            good, great, excellent, wonderful, superb, fantastic, brilliant, marvellous, amazing,
            outstanding, lovely, splendid, terrific, delightful, impressive, remarkable, perfect,
            magnificent, first-rate, exceptional, fabulous, admirable, pleasing, satisfying, fine,
            stunning, sensational, glorious, flawless, exquisite, charming, enjoyable, top-notch,
            refreshing, commendable, praiseworthy, phenomenal, extraordinary, heavenly, sublime,
            astonishing, beautiful, nice, pleasant, appealing, likeable, memorable, inspired,
            faultless, impeccable, classy, world-class, spectacular, gorgeous, dazzling, divine,
            stellar, solid, worthwhile, rewarding, special, magical"""),
        NEGATIVE: _words("""
            bad, poor, terrible, awful, horrible, dreadful, dire, abysmal, atrocious, appalling,
            disappointing, lousy, pathetic, mediocre, miserable, dismal, unpleasant, shoddy,
            inferior, inadequate, unacceptable, disastrous, ghastly, hideous, horrid, lamentable,
            laughable, shameful, substandard, second-rate, third-rate, useless, worthless,
            hopeless, pitiful, wretched, woeful, frustrating, annoying, irritating, depressing,
            disgraceful, offensive, unbearable, intolerable, forgettable, ridiculous, sad, sorry,
            ugly, nasty, awkward, deplorable, uninspired, underwhelming, unsatisfying,
            regrettable, sloppy, overrated, feeble, amateurish, embarrassing"""),
    },
    "food": {
        POSITIVE: _words("""
            delicious, tasty, fresh, flavourful, succulent, juicy, crisp, tender, mouth-watering,
            scrumptious, well-seasoned, fragrant, appetising, yummy, moreish"""),
        NEGATIVE: _words("""
            bland, stale, greasy, soggy, tasteless, burnt, overcooked, rubbery, inedible, rancid,
            undercooked, watery, oily, lukewarm, mushy"""),
    },
    "person": {
        POSITIVE: _words("""
            friendly, attentive, courteous, polite, helpful, kind, welcoming, warm, professional,
            knowledgeable, cheerful, patient, thoughtful, gracious, competent"""),
        NEGATIVE: _words("""
            rude, surly, unhelpful, impolite, careless, arrogant, grumpy, hostile, dismissive, lazy,
            incompetent, indifferent, inattentive, condescending, clueless"""),
    },
    "place": {
        POSITIVE: _words("""
            cosy, clean, spotless, spacious, comfortable, peaceful, elegant, inviting, airy,
            stylish, tidy, bright, tranquil, well-kept, luxurious"""),
        NEGATIVE: _words("""
            dirty, cramped, filthy, noisy, shabby, gloomy, grubby, smelly, run-down, draughty,
            dingy, musty, uncomfortable, neglected, squalid"""),
    },
    "story": {
        POSITIVE: _words("""
            gripping, moving, witty, clever, funny, touching, original, compelling, engaging,
            absorbing, thrilling, poignant, convincing, fascinating, hilarious"""),
        NEGATIVE: _words("""
            boring, dull, tedious, predictable, wooden, clumsy, contrived, pointless, lifeless,
            confused, shallow, tiresome, unconvincing, pretentious, silly"""),
    },
    "device": {
        POSITIVE: _words("""
            reliable, sturdy, responsive, fast, durable, handy, intuitive, sleek, robust, efficient,
            well-made, sharp, accurate, powerful, dependable"""),
        NEGATIVE: _words("""
            flimsy, unreliable, buggy, sluggish, fragile, faulty, clunky, defective, inaccurate,
            broken, laggy, unresponsive, useless, fiddly, badly-made"""),
    },
    "deal": {
        POSITIVE: _words("reasonable, fair, affordable, generous, sensible, attractive, modest"),
        NEGATIVE: _words("outrageous, excessive, steep, exorbitant, unfair, absurd, extortionate"),
    },
}

VERBS = {
    POSITIVE: _words("""
        delight me|delighted me, impress us|impressed us, please everyone|pleased everyone, win
        me over|won me over, charm us|charmed us, amaze me|amazed me, satisfy us|satisfied us,
        exceed my hopes|exceeded my hopes, make my day|made my day, shine|shone, excel|excelled,
        thrill us|thrilled us, make us smile|made us smile, live up to the hype|lived up to the
        hype, deserve praise|deserved praise, cheer me up|cheered me up, earn my respect|earned
        my respect, hit the mark|hit the mark, work like a dream|worked like a dream, astound
        us|astounded us, brighten our day|brightened our day, take my breath away|took my breath
        away, captivate us|captivated us, tick every box|ticked every box, sparkle|sparkled"""),
    NEGATIVE: _words("""
        disappoint me|disappointed me, annoy us|annoyed us, irritate everyone|irritated everyone,
        let me down|let me down, bore us|bored us, disgust me|disgusted me, fall flat|fell flat,
        upset us|upset us, ruin my day|ruined my day, fail|failed, anger me|angered me, frustrate
        us|frustrated us, make us cringe|made us cringe, leave me cold|left me cold, deserve
        complaints|deserved complaints, wear me out|wore me out, test my nerves|tested my nerves,
        miss the mark|missed the mark, fall apart|fell apart, appal us|appalled us, spoil our
        day|spoiled our day, get on my nerves|got on my nerves, depress us|depressed us, waste my
        time|wasted my time, infuriate me|infuriated me"""),
}

NOUNS = {
    POSITIVE: _words("""
        joy, delight, triumph, treat, pleasure, gem, success, winner, masterpiece, marvel, blessing,
        bargain, revelation, highlight, dream, hit, treasure, victory, wonder, work of art"""),
    NEGATIVE: _words("""
        disaster, letdown, nightmare, failure, mess, disgrace, flop, ordeal, catastrophe, rip-off,
        joke, shambles, waste of money, waste of time, scandal, farce, pain, chore, fiasco,
        lost cause"""),
}

# What somebody does or did towards the thing, written infinitive|past.
ATTITUDES = {
    POSITIVE: _words("""
        love|loved, like|liked, enjoy|enjoyed, adore|adored, admire|admired, appreciate|appreciated,
        relish|relished, praise|praised, cherish|cherished, value|valued, applaud|applauded"""),
    NEGATIVE: _words("""
        hate|hated, dislike|disliked, regret|regretted, detest|detested, loathe|loathed,
        resent|resented, despise|despised, deplore|deplored, curse|cursed, criticise|criticised,
        mock|mocked"""),
}

ACTS = {
    POSITIVE: _words("""
        go again, recommend it, come back, do it again, tell my friends to try it, give it five
        stars, choose it again, pay for it again, repeat it, sing its praises, give it full
        marks"""),
    NEGATIVE: _words("""
        avoid it, ask for a refund, complain, warn my friends, give it one star, demand an apology,
        return it, stay away, tell people to steer clear, want my money back, write it off"""),
}

MOODS = {
    POSITIVE: _words("""
        happy, pleased, delighted, content, satisfied, cheerful, thrilled, glad, grateful, elated,
        overjoyed, relieved, in high spirits, over the moon"""),
    NEGATIVE: _words("""
        unhappy, annoyed, disappointed, angry, dissatisfied, frustrated, upset, furious, bitter,
        miserable, sad, irritated, in a bad mood, down in the dumps"""),
}

# Subjects: what a review is about, its aspects by kind, and facts that judge nothing.
DOMAINS = {
    "restaurant": {
        "things": _words("restaurant, bistro, diner, pizzeria, cafe, tavern, steakhouse, bakery"),
        "food": _words("""
            soup, salad, pizza, pasta, steak, *noodles, *pancakes, coffee, bread, dessert,
            *dumplings, curry, fish, *starters, cake, risotto"""),
        "person": _words("waiter, *waiters, chef, hostess, staff, barman, owner, waitress"),
        "place": _words("dining room, terrace, *tables, kitchen, garden, bar"),
        "deal": _words("bill, *prices, set menu"),
        "facts": _words("""
            we had a table for four, I ordered the set lunch, the menu was on a board by the door,
            we sat next to the window, it was a walk of ten minutes from the station,
            I had booked by telephone, the kitchen closed at eleven, my sister had the fish"""),
    },
    "hotel": {
        "things": _words("hotel, inn, hostel, guest house, resort, motel, lodge"),
        "food": _words("breakfast, buffet, coffee, *pastries, evening meal, *omelettes"),
        "person": _words("receptionist, porter, *maids, manager, concierge, staff, barman"),
        "place": _words("room, bathroom, lobby, *beds, pool, balcony, *corridors, lounge, sauna"),
        "deal": _words("room rate, *charges, final bill"),
        "facts": _words("""
            we stayed for three nights, our room was on the fourth floor, the lift was next to
            the stairs, breakfast was served until ten, we arrived by train, the pool opened at
            eight, I had a single room, the key was a plastic card"""),
    },
    "film": {
        "things": _words("film, movie, comedy, drama, thriller, sequel, documentary"),
        "story": _words("""
            plot, script, ending, dialogue, *jokes, opening scene, *songs, soundtrack, story,
            *special effects, final act, camera work"""),
        "person": _words("lead actor, cast, director, heroine, narrator, villain"),
        "deal": _words("*ticket prices, price of the tickets"),
        "facts": _words("""
            it ran for two hours, we saw it in the evening, it was set in the nineteen fifties,
            the film was in French, I watched it with my brother, it came out in spring,
            the screening started at nine, we sat in the third row"""),
    },
    "book": {
        "things": _words("book, novel, biography, memoir, collection, paperback, trilogy"),
        "story": _words("""
            plot, prose, *characters, first chapter, ending, dialogue, *illustrations,
            translation, style, love story, *descriptions, middle part"""),
        "person": _words("author, narrator, hero, detective, translator, main character"),
        "deal": _words("price, price of the paperback"),
        "facts": _words("""
            it had four hundred pages, I read it on the train, it was the second part of a
            series, the cover showed a lighthouse, I borrowed it from the library, there were
            thirty chapters, it was printed in large type, my aunt gave me her copy"""),
    },
    "gadget": {
        "things": _words("""
            phone, laptop, camera, tablet, speaker, printer, watch, keyboard, blender"""),
        "device": _words("""
            screen, battery, *buttons, charger, *speakers, software, case, lens, *controls,
            microphone, touchpad, hinge, remote control, app, motor"""),
        "person": _words("support team, salesman, technician, help desk"),
        "deal": _words("price, warranty, delivery fee"),
        "facts": _words("""
            it came in a brown box, I ordered it on a Monday, the manual had twelve pages,
            the cable was one metre long, it weighed half a kilo, the model was two years old,
            I used it at the office, it was available in grey"""),
    },
    "trip": {
        "things": _words("tour, cruise, excursion, trip, hike, safari, boat ride, city walk"),
        "place": _words("""
            beach, *cabins, coach, harbour, campsite, *villages, old town, *seats, deck"""),
        "person": _words("guide, *guides, driver, captain, crew, organiser"),
        "food": _words("picnic, packed lunch, *sandwiches, dinner on board"),
        "deal": _words("fare, *fees, price of the trip"),
        "facts": _words("""
            we left at dawn, the bus stopped twice, there were twelve of us, it lasted five hours,
            we crossed the river by ferry, the meeting point was at the town hall,
            we walked along the coast, I had packed a raincoat"""),
    },
    "concert": {
        "things": _words("concert, show, gig, festival, musical, recital, opera"),
        "story": _words("""
            *songs, set list, first half, encore, *solos, choreography, *duets, staging"""),
        "person": _words("singer, drummer, orchestra, band, conductor, pianist, support act"),
        "place": _words("venue, *seats, hall, foyer, stage"),
        "deal": _words("*ticket prices, price of the drinks"),
        "facts": _words("""
            it began at half past seven, we stood near the stage, there was one interval,
            the band played for ninety minutes, I went with two friends, the doors opened at six,
            the hall had two balconies, we took the tram home"""),
    },
    "shop": {
        "things": _words("shop, store, market, boutique, bookshop, garden centre, supermarket"),
        "person": _words("""
            cashier, shop assistant, *shop assistants, manager, security guard, tailor"""),
        "place": _words("*fitting rooms, car park, entrance, *shelves, shop floor, *aisles"),
        "device": _words("*trolleys, *tills, website, self-checkout, *tools"),
        "deal": _words("*prices, refund policy, discount, *offers"),
        "facts": _words("""
            I bought a pair of shoes, it was on the first floor, there was a queue of three people,
            the shop closed at eight, I paid by card, we parked behind the building,
            I was looking for a lamp, my mother needed a coat"""),
    },
    "course": {
        "things": _words("course, workshop, lecture, seminar, class, training, lesson"),
        "person": _words("teacher, lecturer, tutor, *instructors, coach, speaker"),
        "story": _words("""
            *slides, *exercises, *examples, *handouts, course book, *lectures, *videos"""),
        "place": _words("classroom, lecture hall, library, *workrooms"),
        "deal": _words("fee, *fees, price of the course"),
        "facts": _words("""
            it met every Thursday, there were fifteen of us, each unit took an hour,
            we used the second edition, the final test was in June, I joined in the second week,
            the room was on the ground floor, we worked in pairs"""),
    },
    "game": {
        "things": _words("game, board game, puzzle, video game, card game, quiz, adventure"),
        "story": _words("*levels, story, *missions, *riddles, ending, *characters, *quests, music"),
        "device": _words("*controls, *menus, *graphics, *pieces, tutorial, camera, *dice, manual"),
        "person": _words("developer, support team, *opponents, community"),
        "deal": _words("price, subscription, *add-on prices"),
        "facts": _words("""
            we played it on Sunday, it took forty minutes, there were sixty cards,
            I played on the easy setting, it was made for two to six players, my cousin went first,
            the box was blue, I started with the second chapter"""),
    },
}

COMPANIONS = _words("""
    my wife, my husband, my brother, my sister, my best friend, my neighbour, my mother, my father,
    my cousin, my boss, my aunt, my uncle, my flatmate, my son, my daughter, my grandmother""")
SOURCES = _words("""
    the brochure, a critic, the newspaper, the advert, the website, a colleague, the guide book,
    one reviewer, the man next to us, somebody online, a blogger, my dentist""")
TIMES = _words("""
    last week, in May, on Friday, a month ago, on my birthday, in the holidays, two days ago,
    last winter, on Saturday, in the summer, yesterday, on a rainy day, over Easter, at the
    weekend""")
